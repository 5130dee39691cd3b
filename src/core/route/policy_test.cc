#include "core/route/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "core/route/test_mesh.h"

namespace infermesh::route {
namespace {

std::map<unsigned, int> draw(TestMesh& mesh, int times, const RequestFacts& facts) {
  std::map<unsigned, int> counts;
  for (int i = 0; i < times; ++i) ++counts[mesh.decide(facts).endpoint->value];
  return counts;
}

TEST(RoundRobin, TakesEachInTurnAndKeepsTheTurnWhenOneGoes) {
  TestMesh mesh(4, PolicyKind::kRoundRobin);
  std::vector<unsigned> order;
  for (int i = 0; i < 6; ++i) order.push_back(mesh.decide(chat(10)).endpoint->value);
  EXPECT_THAT(order, testing::ElementsAre(0, 1, 2, 3, 0, 1));
  mesh.engine(2).state = EndpointState::kDown;
  EXPECT_EQ(mesh.decide(chat(10)).endpoint->value, 3);
}

TEST(Random, FollowsTheWeights) {
  TestMesh mesh(2, PolicyKind::kRandom);
  mesh.engine(1).weight = 300;
  const auto counts = draw(mesh, 4000, chat(10));
  EXPECT_NEAR(counts.at(1), 3000, 150);
}

TEST(LeastRequest, CountsOwnAndReportedRequestsPerWeight) {
  TestMesh mesh(3, PolicyKind::kLeastRequest);
  mesh.cell(0).in_flight = 2;
  mesh.cell(1).in_flight = 3;
  mesh.engine(1).weight = 200;
  mesh.cell(2).in_flight = 1;
  mesh.cell(2).others_running = 1;
  mesh.cell(2).others_waiting = 4;
  mesh.cell(2).reported_at_ns = mesh.now.time_since_epoch().count();
  EXPECT_EQ(mesh.decide(chat(10)).endpoint->value, 1);
}

TEST(PowerOfTwo, NeverTakesTheMostLoaded) {
  TestMesh mesh(4, PolicyKind::kPowerOfTwo);
  mesh.cell(3).in_flight = 9;
  const auto counts = draw(mesh, 400, chat(10));
  EXPECT_FALSE(counts.contains(3));
  EXPECT_EQ(counts.size(), 3);
}

TEST(PowerOfTwo, TakesTheLessLoadedOfTheTwoThatWereDrawn) {
  TestMesh mesh(3, PolicyKind::kPowerOfTwo);
  for (std::size_t i = 0; i < 3; ++i) mesh.cell(i).in_flight = static_cast<int>(i);
  const auto counts = draw(mesh, 3000, chat(10));
  EXPECT_NEAR(counts.at(0), 2000, 150) << "it is one of the two in two draws of three";
  EXPECT_NEAR(counts.at(1), 1000, 150);
}

TEST(PowerOfTwo, WorksWithOneEndpoint) {
  TestMesh mesh(1, PolicyKind::kPowerOfTwo);
  EXPECT_EQ(mesh.decide(chat(10)).endpoint->value, 0);
}

TEST(Session, SticksWhileThereAndMovesOnlyTheKeysOfTheOneThatGoes) {
  TestMesh mesh(5, PolicyKind::kSession);
  std::map<std::uint64_t, unsigned> home;
  RequestFacts facts = chat(10);
  for (std::uint64_t key = 1; key <= 500; ++key) {
    facts.session_key = Rng(key).next();
    const Decision decision = mesh.decide(facts);
    EXPECT_EQ(decision.reason, Reason::kSession);
    home[key] = decision.endpoint->value;
  }
  mesh.engine(2).state = EndpointState::kDown;
  for (std::uint64_t key = 1; key <= 500; ++key) {
    facts.session_key = Rng(key).next();
    const unsigned now = mesh.decide(facts).endpoint->value;
    if (home[key] != 2) {
      EXPECT_EQ(now, home[key]);
    } else {
      EXPECT_NE(now, 2);
    }
  }
}

TEST(Session, SpreadsTheKeysEvenly) {
  TestMesh mesh(5, PolicyKind::kSession);
  std::map<unsigned, int> counts;
  RequestFacts facts = chat(10);
  for (std::uint64_t key = 1; key <= 1000; ++key) {
    facts.session_key = Rng(key).next();
    ++counts[mesh.decide(facts).endpoint->value];
  }
  for (unsigned i = 0; i < 5; ++i) EXPECT_NEAR(counts[i], 200, 60) << i;
}

TEST(Session, IsTheSameOnEveryRouterWhateverTheIds) {
  TestMesh here(4, PolicyKind::kSession), there(4, PolicyKind::kSession);
  for (std::size_t i = 0; i < 4; ++i) there.engine(i).name = here.engine(3 - i).name;
  RequestFacts facts = chat(10);
  for (std::uint64_t key = 1; key <= 50; ++key) {
    facts.session_key = Rng(key).next();
    const std::string home = here.engine(here.decide(facts).endpoint->value).name;
    EXPECT_EQ(there.engine(there.decide(facts).endpoint->value).name, home);
  }
}

TEST(Session, TheBoundIsThePolicysAndEachKeySpillsToItsOwnNext) {
  TestMesh mesh(4, PolicyKind::kSession);
  RequestFacts facts = chat(10);
  std::map<unsigned, std::map<unsigned, int>> spilled;  // from, to
  for (std::uint64_t key = 1; key <= 400; ++key) {
    facts.session_key = Rng(key).next();
    const unsigned home = mesh.decide(facts).endpoint->value;
    mesh.cell(home).in_flight = 8;
    const unsigned next = mesh.decide(facts).endpoint->value;
    EXPECT_EQ(mesh.decide(facts).endpoint->value, next) << "always the same one";
    ++spilled[home][next];
    mesh.policy().load_bound = 4;
    EXPECT_EQ(mesh.decide(facts).endpoint->value, home);
    mesh.policy().load_bound = 1.25;
    mesh.cell(home).in_flight = 0;
  }
  for (const auto& [home, to] : spilled) {
    EXPECT_EQ(to.size(), 3U) << "from " << home;
    for (const auto& [next, count] : to) EXPECT_NEAR(count, 33, 20) << home << " to " << next;
  }
}

TEST(Session, SpillsOverTheBoundAndComesBack) {
  TestMesh mesh(4, PolicyKind::kSession);
  RequestFacts facts = chat(10);
  facts.session_key = 12345;
  const unsigned home = mesh.decide(facts).endpoint->value;
  mesh.cell(home).in_flight = 8;
  const Decision spilled = mesh.decide(facts);
  EXPECT_NE(spilled.endpoint->value, home);
  mesh.cell(home).in_flight = 0;
  EXPECT_EQ(mesh.decide(facts).endpoint->value, home);
}

TEST(Session, AFewParallelRequestsDoNotMoveIt) {
  TestMesh mesh(4, PolicyKind::kSession);
  RequestFacts facts = chat(10);
  facts.session_key = 12345;
  const unsigned home = mesh.decide(facts).endpoint->value;
  mesh.cell(home).in_flight = 3;
  EXPECT_EQ(mesh.decide(facts).endpoint->value, home);
}

TEST(Session, WithoutAKeyTakesTheLeastLoaded) {
  TestMesh mesh(3, PolicyKind::kSession);
  mesh.cell(0).in_flight = 1;
  const Decision decision = mesh.decide(chat(10));
  EXPECT_EQ(decision.endpoint->value, 1);
  EXPECT_EQ(decision.reason, Reason::kLeastLoaded);
}

TEST(PrefixAffinity, FollowsThePrefixUntilItsHolderIsFarBusier) {
  TestMesh mesh(3, PolicyKind::kPrefixAffinity);
  const RequestFacts facts = chat(3200, 1, 100);
  mesh.index->insert(facts.blocks, EndpointId(2), mesh.now);
  const Decision decision = mesh.decide(facts);
  EXPECT_EQ(decision.endpoint->value, 2);
  EXPECT_EQ(decision.reason, Reason::kPrefixCached);
  EXPECT_GT(decision.cached_tokens, Tokens(3000));
  mesh.cell(2).in_flight = 20;
  EXPECT_EQ(mesh.decide(facts).endpoint->value, 0);
}

TEST(PrefixAffinity, TheWeightIsThePolicys) {
  TestMesh mesh(3, PolicyKind::kPrefixAffinity);
  const RequestFacts facts = chat(3200, 1, 100);
  mesh.index->insert(facts.blocks, EndpointId(2), mesh.now);
  mesh.cell(2).in_flight = 20;
  mesh.policy().prefix_weight = 10;
  EXPECT_EQ(mesh.decide(facts).endpoint->value, 2);
  mesh.policy().prefix_weight = 0;
  mesh.cell(2).in_flight = 1;
  EXPECT_EQ(mesh.decide(facts).endpoint->value, 0);
}

void measure(LoadCell& cell, Instant now, double prompt_rate, double seconds_per_token) {
  cell.prefill_tokens_per_second = prompt_rate;
  cell.seconds_per_token = seconds_per_token;
  cell.rates_at_ns = now.time_since_epoch().count();
}

TEST(ExpectedLatency, IsWorkAheadAndPromptAtTheMeasuredRateAndOutputAtTheMeasuredTime) {
  TestMesh mesh(1);
  measure(mesh.cell(0), mesh.now, 2000, 0.05);
  RequestFacts facts = chat(4000);
  facts.output_tokens_max = Tokens(40);
  const CandidateNote idle = mesh.decide(facts).notes.at(0);
  EXPECT_NEAR(idle.queue_seconds, 0, 0.001);
  EXPECT_NEAR(idle.prefill_seconds, 2.0, 0.05);
  EXPECT_NEAR(idle.decode_seconds, 2.0, 0.05);
  EXPECT_NEAR(idle.score, 4.0, 0.1);
  mesh.cell(0).in_flight = 1;
  mesh.cell(0).prefill_tokens_ahead = 6000;
  mesh.cell(0).prefill_since_ns = mesh.now.time_since_epoch().count();
  EXPECT_NEAR(mesh.decide(facts).notes.at(0).queue_seconds, 3.0, 0.1);
  mesh.index->insert(facts.blocks, EndpointId(0), mesh.now);
  EXPECT_LT(mesh.decide(facts).notes.at(0).prefill_seconds, 0.1) << "only what is not cached";
}

TEST(ExpectedLatency, PrefersTheEngineThatIsMeasuredToBeFaster) {
  TestMesh prompts(2), answers(2);
  for (std::size_t i = 0; i < 2; ++i) {
    measure(prompts.cell(i), prompts.now, i == 1 ? 8000 : 2000, 0.02);
    measure(answers.cell(i), answers.now, 4000, i == 1 ? 0.01 : 0.04);
  }
  EXPECT_EQ(prompts.decide(chat(4000)).endpoint->value, 1);
  const Decision decision = answers.decide(chat(100));
  EXPECT_EQ(decision.endpoint->value, 1);
  EXPECT_EQ(decision.reason, Reason::kFastest);
}

TEST(ExpectedLatency, AnOldMeasurementFadesTowardsTheOthers) {
  TestMesh mesh(2);
  measure(mesh.cell(0), mesh.now, 4000, 0.02);
  measure(mesh.cell(1), mesh.now - 10min, 400, 0.2);
  mesh.cell(0).in_flight = 1;
  mesh.cell(0).prefill_tokens_ahead = 3000;
  EXPECT_EQ(mesh.decide(chat(100)).endpoint->value, 1) << "it may be faster by now: try it";
}

TEST(ExpectedLatency, BeforeAnythingIsMeasuredTakesTheLeastWorkAhead) {
  TestMesh mesh(3);
  mesh.cell(0).in_flight = 1;
  mesh.cell(0).prefill_tokens_ahead = 8000;
  mesh.cell(1).in_flight = 3;
  mesh.cell(1).prefill_tokens_ahead = 900;
  mesh.cell(2).in_flight = 2;
  mesh.cell(2).prefill_tokens_ahead = 4000;
  EXPECT_EQ(mesh.decide(chat(1000)).endpoint->value, 1);
}

TEST(ExpectedLatency, PrefersTheHolderOfThePrefixAndSaysSo) {
  TestMesh mesh(3);
  const RequestFacts facts = chat(3200, 1, 100);
  mesh.index->insert(facts.blocks, EndpointId(1), mesh.now);
  const Decision decision = mesh.decide(facts);
  EXPECT_EQ(decision.endpoint->value, 1);
  EXPECT_EQ(decision.reason, Reason::kPrefixCached);
  mesh.cell(1).in_flight = 2;
  mesh.cell(1).prefill_tokens_ahead = 6000;
  EXPECT_NE(mesh.decide(facts).endpoint->value, 1);
}

TEST(ExpectedLatency, CountsWhatItSentAtOnce) {
  TestMesh mesh(4);
  std::vector<InFlight> flying;
  std::map<unsigned, int> counts;
  for (int i = 0; i < 40; ++i) {
    const RequestFacts facts = chat(1000, 0, 0, static_cast<std::uint64_t>(i));
    const Decision decision = mesh.decide(facts);
    flying.push_back(mesh.send(decision, facts));
    ++counts[decision.endpoint->value];
  }
  for (const auto& [engine, count] : counts) EXPECT_EQ(count, 10) << engine;
}

TEST(ExpectedLatency, WaitsForASlotCountAgainstAnEngine) {
  TestMesh mesh(2);
  mesh.engine(0).concurrency_max = 2;
  mesh.engine(1).concurrency_max = 4;
  for (std::size_t i = 0; i < 2; ++i) mesh.cell(i).in_flight = mesh.cell(i).streams = 2;
  const Decision decision = mesh.decide(chat(100));
  EXPECT_EQ(decision.endpoint->value, 1);
  EXPECT_GT(decision.notes[1].slot_seconds, 0);
  EXPECT_EQ(decision.notes[0].slot_seconds, 0);
}

TEST(ExpectedLatency, CountsOthersTrafficOnlyWhileTheReportIsFresh) {
  TestMesh mesh(2);
  mesh.cell(0).others_running = 4;
  mesh.cell(0).others_waiting = 8;
  for (std::size_t i = 0; i < 2; ++i) {
    mesh.cell(i).reported_at_ns = mesh.now.time_since_epoch().count();
  }
  EXPECT_EQ(mesh.decide(chat(100)).endpoint->value, 1);
  // A stale report is unknown: it counts as the others' mean, so neither is preferred.
  mesh.cell(0).reported_at_ns = (mesh.now - 8s).time_since_epoch().count();
  EXPECT_EQ(mesh.decide(chat(100)).endpoint->value, 0);
}

TEST(ExpectedLatency, CountsTheTokensOfWaitingOthersWhereTheEngineTellsThem) {
  TestMesh mesh(2);
  const auto report = [&](EndpointId to, std::optional<Tokens> waiting_tokens) {
    EngineReport told;
    told.running = 1;
    told.waiting = 2;
    told.waiting_prompt_tokens = waiting_tokens;
    told.read_at = mesh.now;
    for (int i = 0; i < 2; ++i) mesh.load->report(to, told);  // the lower of two counts
  };
  const auto queue_of = [&](EndpointId wanted) {
    const Decision decision = mesh.decide(chat(100));
    return decision.notes[decision.notes[0].endpoint == wanted ? 0 : 1].queue_seconds;
  };
  report(EndpointId(0), Tokens(16'000));
  report(EndpointId(1), Tokens(400));
  EXPECT_EQ(mesh.decide(chat(100)).endpoint, EndpointId(1));
  EXPECT_NEAR(queue_of(EndpointId(0)), 2.02, 0.01) << "at 8,000 tokens a second";
  EXPECT_NEAR(queue_of(EndpointId(1)), 0.07, 0.01);
  report(EndpointId(1), std::nullopt);
  EXPECT_NEAR(queue_of(EndpointId(1)), 0.148, 0.01) << "two typical prompts";
  // What this router sent is not counted twice.
  mesh.cell(0).in_flight = 3;
  mesh.cell(0).prefill_tokens_ahead = 16'000;
  report(EndpointId(0), Tokens(16'000));
  EXPECT_NEAR(queue_of(EndpointId(0)), 2.03, 0.02);
}

TEST(ExpectedLatency, ALatePromptInWorkMakesAnEngineLookSlow) {
  TestMesh mesh(2);
  for (std::size_t i = 0; i < 2; ++i) {
    mesh.cell(i).in_flight = 2;
    mesh.cell(i).prefill_tokens_ahead = 2000;
    mesh.cell(i).prefill_since_ns = mesh.now.time_since_epoch().count();
  }
  mesh.cell(0).prefill_since_ns = (mesh.now - 2s).time_since_epoch().count();
  EXPECT_EQ(mesh.decide(chat(100)).endpoint->value, 1);
}

}  // namespace
}  // namespace infermesh::route
