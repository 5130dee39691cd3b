#include "core/route/learn.h"

#include <gtest/gtest.h>

#include "core/route/line_fit.h"
#include "core/route/test_mesh.h"

namespace infermesh::route {
namespace {

void expect_nothing_in_flight(TestMesh& mesh, std::size_t engine) {
  const LoadCell& cell = mesh.cell(engine);
  EXPECT_EQ(cell.in_flight.load(), 0);
  EXPECT_EQ(cell.streams.load(), 0);
  EXPECT_EQ(cell.prefill_tokens_ahead.load(), 0);
  EXPECT_EQ(cell.decode_tokens_ahead.load(), 0);
}

// One request that answers after `service` and then makes `tokens` at `per_token` each.
void serve(TestMesh& mesh, const RequestFacts& facts, Duration service, std::int64_t tokens,
           Duration per_token) {
  const Decision decision = mesh.decide(facts);
  InFlight attempt = mesh.send(decision, facts);
  const Instant sent = mesh.now;
  mesh.now += service;
  attempt.first_byte(mesh.now);
  mesh.now += per_token * (tokens - 1);
  attempt.finish();
  Outcome outcome;
  attempt.describe(outcome);
  outcome.first_byte = service;
  outcome.total = mesh.now - sent;
  outcome.output_tokens = Tokens(tokens);
  mesh.learn(outcome, decision);
}

TEST(InFlight, CountsEachPhaseAndUndoesExactlyThat) {
  TestMesh mesh(1);
  const RequestFacts facts = chat(1000);
  InFlight attempt = mesh.send(mesh.decide(facts), facts);
  EXPECT_EQ(mesh.cell(0).in_flight.load(), 1);
  EXPECT_EQ(mesh.cell(0).prefill_tokens_ahead.load(), 1000);
  EXPECT_EQ(mesh.cell(0).streams.load(), 0);
  attempt.first_byte(mesh.now + 100ms);
  attempt.first_byte(mesh.now + 200ms);
  EXPECT_EQ(mesh.cell(0).prefill_tokens_ahead.load(), 0);
  EXPECT_EQ(mesh.cell(0).streams.load(), 1);
  EXPECT_EQ(mesh.cell(0).decode_tokens_ahead.load(), 100);
  attempt.finish();
  attempt.finish();
  expect_nothing_in_flight(mesh, 0);
}

TEST(InFlight, IsUndoneWhicheverWayItEnds) {
  TestMesh mesh(3);
  Rng rng(9);
  std::vector<InFlight> attempts;
  for (int i = 0; i < 500; ++i) {
    RequestFacts facts = chat(static_cast<std::int64_t>(rng.below(5000)));
    facts.stream = rng.below(3) != 0;
    attempts.push_back(mesh.send(mesh.decide(facts), facts));
    if (rng.below(2) == 0) attempts[rng.below(attempts.size())].first_byte(mesh.now);
    if (rng.below(3) == 0)
      attempts.erase(attempts.begin() + static_cast<long>(rng.below(attempts.size())));
    if (attempts.size() > 2 && rng.below(5) == 0) attempts[0] = std::move(attempts[1]);
  }
  attempts.clear();
  for (std::size_t i = 0; i < 3; ++i) expect_nothing_in_flight(mesh, i);
}

TEST(InFlight, AnAnswerThatComesEarlyTakesTheRestOfItsPredictedPrefillAway) {
  TestMesh mesh(1);
  RequestFacts facts = chat(8000);
  facts.stream = false;
  InFlight attempt = mesh.send(mesh.decide(facts), facts);
  ASSERT_GT(mesh.cell(0).unseen_prefill_until_ns.load(),
            (mesh.now + 10ms).time_since_epoch().count());
  mesh.now += 10ms;
  attempt.finish(mesh.now);
  EXPECT_LE(mesh.cell(0).unseen_prefill_until_ns.load(), mesh.now.time_since_epoch().count());
  expect_nothing_in_flight(mesh, 0);
}

TEST(InFlight, APromptWhoseFirstTokenIsNotSeenPassesWithTime) {
  TestMesh mesh(2);
  RequestFacts facts = chat(8000);
  facts.stream = false;
  const InFlight attempt = mesh.send(mesh.decide(facts), facts);
  EXPECT_EQ(mesh.cell(0).prefill_tokens_ahead.load(), 0);
  EXPECT_NEAR(mesh.decide(chat(100)).notes[1].queue_seconds, 1.0, 0.05);
  mesh.now += 2s;
  EXPECT_EQ(mesh.decide(chat(100)).notes[1].queue_seconds, 0);
}

TEST(InFlight, MeasuresTheTimeSpentOnOnePromptBehindOthers) {
  TestMesh mesh(1);
  const RequestFacts facts = chat(1000);
  const Decision decision = mesh.decide(facts);
  InFlight first = mesh.send(decision, facts), second = mesh.send(decision, facts);
  first.first_byte(mesh.now + 100ms);
  second.first_byte(mesh.now + 180ms);
  Outcome outcome;
  second.describe(outcome);
  EXPECT_EQ(outcome.prefill_service, 80ms);
}

TEST(Learn, FindsTheEnginesPace) {
  TestMesh mesh(1);
  for (int i = 0; i < 60; ++i) {
    const std::int64_t tokens = 200 + 97 * i % 4000;
    serve(mesh, chat(tokens, 0, 0, static_cast<std::uint64_t>(i)), 20ms + tokens * 50us, 50, 8ms);
  }
  EXPECT_NEAR(mesh.cell(0).prefill_tokens_per_second.load(), 20000, 2000);
  EXPECT_NEAR(mesh.cell(0).overhead_seconds.load(), 0.020, 0.006);
  EXPECT_NEAR(mesh.cell(0).seconds_per_token.load(), 0.008, 0.001);
  EXPECT_NEAR(mesh.decide(chat(4000, 0, 0, 777)).predicted_ttft_seconds, 0.22, 0.02);
}

TEST(Learn, FollowsAnEngineThatHalvesItsSpeedWithinAFewRequests) {
  TestMesh mesh(1);
  for (int i = 0; i < 60; ++i)
    serve(mesh, chat(1000, 0, 0, static_cast<std::uint64_t>(i)), 100ms, 50, 10ms);
  const double before = mesh.decide(chat(1000, 0, 0, 777)).predicted_ttft_seconds;
  EXPECT_NEAR(before, 0.1, 0.01);
  for (std::uint64_t i = 0; i < 8; ++i) serve(mesh, chat(1000, 0, 0, 100 + i), 200ms, 50, 20ms);
  EXPECT_GT(mesh.decide(chat(1000, 0, 0, 778)).predicted_ttft_seconds, 0.15);
  EXPECT_GT(mesh.cell(0).seconds_per_token.load(), 0.014);
  for (std::uint64_t i = 0; i < 40; ++i) serve(mesh, chat(1000, 0, 0, 200 + i), 200ms, 50, 20ms);
  EXPECT_NEAR(mesh.decide(chat(1000, 0, 0, 779)).predicted_ttft_seconds, 0.2, 0.03);
}

TEST(Learn, OneStallDoesLittle) {
  TestMesh mesh(1);
  for (int i = 0; i < 60; ++i)
    serve(mesh, chat(1000, 0, 0, static_cast<std::uint64_t>(i)), 100ms, 50, 10ms);
  serve(mesh, chat(1000, 0, 0, 500), 30s, 50, 10ms);
  EXPECT_LT(mesh.decide(chat(1000, 0, 0, 777)).predicted_ttft_seconds, 0.2);
}

TEST(Learn, AMismeasuredEngineIsTriedAgainInTime) {
  TestMesh mesh(2);
  const auto at = mesh.now.time_since_epoch().count();
  for (std::size_t i = 0; i < 2; ++i) {
    mesh.cell(i).prefill_tokens_per_second = i == 0 ? 100 : 10000;
    mesh.cell(i).seconds_per_token = 0.01;
    mesh.cell(i).rates_at_ns = at;
  }
  mesh.cell(1).in_flight = mesh.cell(1).streams = 8;
  EXPECT_EQ(mesh.decide(chat(1000)).endpoint->value, 1);
  mesh.now += 10min;
  mesh.cell(1).rates_at_ns = mesh.now.time_since_epoch().count();
  EXPECT_EQ(mesh.decide(chat(1000)).endpoint->value, 0);
}

TEST(Learn, DoesNotChargeAnAnswerWithThePromptsThatRanBesideIt) {
  TestMesh mesh(1);
  for (int i = 0; i < 20; ++i)
    serve(mesh, chat(1000, 0, 0, static_cast<std::uint64_t>(i)), 100ms, 50, 10ms);
  Outcome outcome;
  outcome.endpoint = EndpointId(0);
  outcome.streamed = true;
  outcome.first_byte = 100ms;
  outcome.total = 100ms + 490ms + 1s;
  outcome.output_tokens = Tokens(50);
  outcome.prefill_beside = Tokens(10000);  // one second of prefill at 10,000 tokens/s
  const Decision decision = mesh.decide(chat(1000));
  for (int i = 0; i < 20; ++i) mesh.learn(outcome, decision);
  EXPECT_LT(mesh.cell(0).seconds_per_token.load(), 0.016);  // 0.030 with them
}

TEST(Learn, TheIndexIsTrustedLessWhereTheEngineServesLessFromItsCache) {
  TestMesh mesh(1);
  const RequestFacts facts = chat(1200, 1, 1200);
  mesh.index->insert(facts.blocks, EndpointId(0), mesh.now);
  Outcome outcome;
  outcome.endpoint = EndpointId(0);
  outcome.prompt_tokens = Tokens(1100);
  outcome.cached_tokens = Tokens(0);
  for (int i = 0; i < 30; ++i) mesh.learn(outcome, mesh.decide(facts));
  EXPECT_LT(mesh.decide(facts).cached_tokens, Tokens(100));
  outcome.cached_tokens = Tokens(1090);
  for (int i = 0; i < 30; ++i) mesh.learn(outcome, mesh.decide(facts));
  EXPECT_GT(mesh.decide(facts).cached_tokens, Tokens(1000));
}

TEST(Learn, FailuresAndCancelledAttemptsTeachNoSpeed) {
  TestMesh mesh(1);
  Outcome outcome;
  outcome.endpoint = EndpointId(0);
  outcome.output_tokens = Tokens(50);
  outcome.total = 9s;
  for (const OutcomeKind kind :
       {OutcomeKind::kReset, OutcomeKind::kCancelled, OutcomeKind::kEngineError}) {
    outcome.kind = kind;
    mesh.learn(outcome, Decision{});
  }
  EXPECT_EQ(mesh.cell(0).seconds_per_token.load(), 0);
  EXPECT_EQ(mesh.cell(0).requests.load(), 3U);
  EXPECT_EQ(mesh.cell(0).failures.load(), 2U);
}

TEST(Learn, ExpectedOutputFollowsTheModelButNotBeyondTheRequestsLimit) {
  TestMesh mesh(1);
  EXPECT_EQ(mesh.decide(chat(100)).expected_output_tokens, 100);
  for (int i = 0; i < 200; ++i)
    serve(mesh, chat(100, 0, 0, static_cast<std::uint64_t>(i)), 10ms, 400, 1ms);
  EXPECT_NEAR(mesh.decide(chat(100)).expected_output_tokens, 400, 10);
  RequestFacts facts = chat(100);
  facts.output_tokens_max = Tokens(20);
  EXPECT_EQ(mesh.decide(facts).expected_output_tokens, 20);
  facts.api = Api::kEmbeddings;
  EXPECT_EQ(mesh.decide(facts).expected_output_tokens, 0);
}

TEST(Learn, WhatTheModelDoesNotReadTeachesNothing) {
  TestMesh mesh(1);
  mesh.engine(0).apis = apis_of(Runtime::kSglang);
  for (const Api api : {Api::kTokenize, Api::kDetokenize, Api::kCountTokens, Api::kStoredResponse,
                        Api::kOllamaShow}) {
    RequestFacts facts = chat(3200);
    facts.api = api;
    facts.stream = false;
    for (int i = 0; i < 20; ++i) serve(mesh, facts, 1ms, 1, 0ms);
    EXPECT_EQ(mesh.cell(0).prefill_tokens_per_second.load(), 0) << to_string(api);
    EXPECT_EQ(mesh.cell(0).prefill_tokens_done.load(), 0) << to_string(api);
    EXPECT_EQ(mesh.decide(chat(3200)).cached_tokens, Tokens(0)) << "only a read prompt is cached";
  }
  EXPECT_EQ(mesh.cell(0).requests.load(), 100U);
  expect_nothing_in_flight(mesh, 0);
  serve(mesh, chat(3200), 100ms, 1, 0ms);
  EXPECT_GT(mesh.decide(chat(3200)).cached_tokens, Tokens(0));
}

TEST(LineFit, SeparatesLevelAndSlope) {
  LineSums sums;
  Rng rng(4);
  for (int i = 0; i < 200; ++i) {
    const double x = 1 + static_cast<double>(rng.below(100));
    observe(sums, x, (3 + 0.5 * x) * (0.9 + 0.2 * rng.unit()), 0.5);
  }
  const Line line = fit_line(sums, 0.5);
  EXPECT_NEAR(line.slope, 0.5, 0.1);
  EXPECT_NEAR(line.at(50), 28, 2);
  EXPECT_EQ(pace_factor(sums), 1);
}

TEST(LineFit, ThingsThatEndTogetherAreOneObservation) {
  LineSums together;
  for (int i = 0; i < 40; ++i) {
    observe_batch(together, 100, 3, 0.2);
    observe_batch(together, 100, 0, 0.2);
    observe_batch(together, 100, 0, 0.2);
  }
  EXPECT_NEAR(fit_line(together, 0.2).at(300), 3, 0.15);
  EXPECT_EQ(pace_factor(together), 1);
}

TEST(LineFit, AlikeObservationsSplitByTheGivenShare) {
  LineSums sums;
  for (int i = 0; i < 50; ++i) observe(sums, 100, 10, 0.2);
  EXPECT_NEAR(fit_line(sums, 0.2).intercept, 2, 1e-6);
  EXPECT_NEAR(fit_line(sums, 0.2).at(100), 10, 1e-6);
}

}  // namespace
}  // namespace infermesh::route
