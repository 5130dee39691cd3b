#include "core/route/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "core/route/test_mesh.h"

namespace infermesh::route {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::SizeIs;

EndpointId id(unsigned value) {
  return EndpointId(static_cast<std::uint16_t>(value));
}

Rejection rejection_of(const Decision& decision, EndpointId endpoint) {
  for (const CandidateNote& note : decision.notes) {
    if (note.endpoint == endpoint) return note.rejection;
  }
  return Rejection::kNone;
}

TEST(Pipeline, RejectsWhatCannotTakeTheRequestAndSaysWhy) {
  TestMesh mesh(6);
  mesh.engine(0).state = EndpointState::kDown;
  mesh.engine(1).state = EndpointState::kDraining;
  mesh.engine(2).in_flight_max = 1;
  mesh.cell(2).in_flight = 1;
  mesh.view.ejections = {{id(3), ModelId(0), mesh.now + 5s, false, "5 failures"}};
  const Decision decision = mesh.decide(chat(100), {id(4)});
  EXPECT_EQ(decision.endpoint, id(5));
  EXPECT_EQ(decision.reason, Reason::kOnlyOne);
  EXPECT_EQ(decision.candidates_total, 6);
  ASSERT_THAT(decision.notes, SizeIs(6));
  EXPECT_EQ(decision.notes[0].endpoint, id(5));
  EXPECT_EQ(rejection_of(decision, id(0)), Rejection::kNotReady);
  EXPECT_EQ(rejection_of(decision, id(1)), Rejection::kDraining);
  EXPECT_EQ(rejection_of(decision, id(2)), Rejection::kFull);
  EXPECT_EQ(rejection_of(decision, id(3)), Rejection::kEjected);
  EXPECT_EQ(rejection_of(decision, id(4)), Rejection::kTried);
}

TEST(Pipeline, NotesWhyAndSinceWhenAnEngineIsOut) {
  TestMesh mesh(4);
  mesh.engine(0).state = EndpointState::kDown;
  mesh.engine(0).state_reason = "connection refused";
  mesh.engine(0).state_since = mesh.now - 12s;
  mesh.engine(1).state = EndpointState::kSuspect;
  mesh.engine(1).state_reason = "no answer within 1 s";
  mesh.engine(1).state_since = mesh.now - 2s;
  mesh.view.ejections = {
      {id(1), ModelId(0), kNever, false, "half of them failed", mesh.now - 9s},
      {id(2), ModelId(0), mesh.now + 5s, false, "5 failures in a row", mesh.now - 3s}};
  const Decision decision = mesh.decide(chat(100));
  ASSERT_THAT(decision.notes, SizeIs(4));
  EXPECT_EQ(decision.notes[0].endpoint, id(3));
  EXPECT_EQ(decision.notes[0].state, EndpointState::kReady);
  EXPECT_EQ(decision.notes[0].out_reason, "");
  EXPECT_LT(decision.notes[0].out_for, Duration(0));
  EXPECT_EQ(decision.notes[1].state, EndpointState::kDown);
  EXPECT_EQ(decision.notes[1].out_reason, "connection refused");
  EXPECT_EQ(decision.notes[1].out_for, Duration(12s));
  EXPECT_EQ(decision.notes[2].rejection, Rejection::kEjected);
  EXPECT_EQ(decision.notes[2].state, EndpointState::kSuspect);
  EXPECT_EQ(decision.notes[2].out_reason, "half of them failed");
  EXPECT_EQ(decision.notes[3].out_reason, "5 failures in a row");
  EXPECT_EQ(decision.notes[3].out_for, Duration(3s));
}

TEST(Pipeline, WaitsWhenAllAreMerelyFull) {
  TestMesh mesh(2);
  for (std::size_t i = 0; i < 2; ++i) {
    mesh.engine(i).in_flight_max = 3;
    mesh.cell(i).in_flight = 3;
  }
  const Decision decision = mesh.decide(chat(100));
  EXPECT_FALSE(decision.endpoint);
  EXPECT_TRUE(decision.wait);
  EXPECT_EQ(decision.refusal, ErrorCode::kQueueFull);
}

TEST(Pipeline, RefusesWhenNobodyIsThere) {
  TestMesh mesh(2);
  mesh.engine(0).state = EndpointState::kDown;
  mesh.engine(1).state = EndpointState::kJoining;
  const Decision decision = mesh.decide(chat(100));
  EXPECT_FALSE(decision.endpoint);
  EXPECT_FALSE(decision.wait);
  EXPECT_EQ(decision.refusal, ErrorCode::kNoHealthyBackend);
}

TEST(Pipeline, UsesASuspectOnlyWhenNoReadyOneCan) {
  TestMesh mesh(2);
  mesh.engine(0).state = EndpointState::kSuspect;
  EXPECT_EQ(mesh.decide(chat(100)).endpoint, id(1));
  EXPECT_EQ(mesh.decide(chat(100), {id(1)}).endpoint, id(0));
}

TEST(Pipeline, TriesTheSameEngineAgainOnlyWhenItIsTheOnlyOneLeft) {
  TestMesh mesh(2);
  EXPECT_EQ(mesh.decide(chat(100), {id(0)}).endpoint, id(1));
  EXPECT_TRUE(mesh.decide(chat(100), {id(0), id(1)}).endpoint);
}

TEST(Pipeline, FallsBackToLeastInFlightWhenAllAreEjected) {
  TestMesh mesh(3);
  for (unsigned i = 0; i < 3; ++i) {
    mesh.view.ejections.push_back({id(i), ModelId(0), mesh.now + 5s, false, "outlier"});
  }
  mesh.cell(0).in_flight = 2;
  mesh.cell(1).in_flight = 1;
  mesh.cell(1).prefill_tokens_ahead = 90'000;  // the slowest by its predicted time
  mesh.cell(2).in_flight = 4;
  const Decision decision = mesh.decide(chat(100));
  EXPECT_EQ(decision.endpoint, id(1));
  EXPECT_EQ(decision.reason, Reason::kFallback);
}

TEST(Pipeline, FallsBackToLeastInFlightWhenEverySignalIsLost) {
  TestMesh mesh(2);
  for (std::size_t i = 0; i < 2; ++i) {
    mesh.cell(i).reported_at_ns = (mesh.now - 30s).time_since_epoch().count();
  }
  mesh.cell(0).in_flight = 1;
  mesh.cell(0).prefill_tokens_ahead = 90'000;
  mesh.cell(1).in_flight = 2;
  const Decision lost = mesh.decide(chat(100));
  EXPECT_EQ(lost.reason, Reason::kFallback);
  EXPECT_EQ(lost.endpoint, id(0));
  mesh.cell(1).reported_at_ns = (mesh.now - 1s).time_since_epoch().count();
  const Decision known = mesh.decide(chat(100));
  EXPECT_NE(known.reason, Reason::kFallback);
  EXPECT_EQ(known.endpoint, id(1));
}

TEST(Pipeline, AFreshRateIsASignalToo) {
  TestMesh mesh(2);
  for (std::size_t i = 0; i < 2; ++i) {
    mesh.cell(i).reported_at_ns = (mesh.now - 30s).time_since_epoch().count();
    mesh.cell(i).rates_at_ns = (mesh.now - 70s).time_since_epoch().count();
  }
  EXPECT_EQ(mesh.decide(chat(100)).reason, Reason::kFallback);
  mesh.cell(1).rates_at_ns = (mesh.now - 1s).time_since_epoch().count();
  EXPECT_NE(mesh.decide(chat(100)).reason, Reason::kFallback);
}

TEST(Pipeline, NotesTheFactsOfEachCandidateWithTheirAge) {
  TestMesh mesh(2);
  LoadCell& cell = mesh.cell(0);
  cell.in_flight = 3;
  cell.prefill_tokens_ahead = 640;
  cell.reported_waiting = 2;
  cell.reported_at_ns = (mesh.now - 80ms).time_since_epoch().count();
  cell.prefill_tokens_per_second = 5000;
  cell.rates_at_ns = (mesh.now - 2s).time_since_epoch().count();
  const RequestFacts facts = chat(3200, 1, 100);
  mesh.index->insert(facts.blocks, id(0), mesh.now);
  const Decision decision = mesh.decide(facts);
  ASSERT_THAT(decision.notes, SizeIs(2));
  const CandidateNote& known = decision.notes[decision.notes[0].endpoint == id(0) ? 0 : 1];
  const CandidateNote& unknown = decision.notes[decision.notes[0].endpoint == id(0) ? 1 : 0];
  EXPECT_EQ(known.in_flight, 3);
  EXPECT_EQ(known.tokens_ahead, Tokens(640));
  EXPECT_EQ(known.reported_waiting, 2);
  EXPECT_EQ(known.load_age, 80ms);
  EXPECT_EQ(known.rates_age, 2s);
  EXPECT_GT(known.cached_tokens, Tokens(3000));
  EXPECT_GT(known.score, 0);
  EXPECT_LT(unknown.load_age, 0s);
  EXPECT_LT(unknown.rates_age, 0s);
  EXPECT_EQ(unknown.reported_waiting, -1);
}

TEST(Pipeline, LetsOneTrialThroughToAHalfOpenEngine) {
  TestMesh mesh(2);
  mesh.view.ejections = {{id(1), ModelId(0), mesh.now, true, "5 failures"}};
  const Decision first = mesh.decide(chat(100));
  EXPECT_EQ(first.endpoint, id(1));
  EXPECT_TRUE(first.trial);
  EXPECT_EQ(first.reason, Reason::kTrial);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(mesh.decide(chat(100)).endpoint, id(0));
  mesh.now += kTrialPause;
  EXPECT_TRUE(mesh.decide(chat(100)).trial);
}

TEST(Pipeline, KeepsARetryAwayFromTrials) {
  TestMesh mesh(3);
  mesh.view.ejections = {{id(2), ModelId(0), mesh.now, true, "5 failures"}};
  mesh.cell(2).in_flight = 3;
  EXPECT_EQ(mesh.decide(chat(100), {id(0)}).endpoint, id(1));
}

TEST(Pipeline, KeepsALongPromptFromAnEngineWithLittleRoomUnlessNoneHasMore) {
  TestMesh mesh(2);
  mesh.engine(0).models[0].context_max = Tokens(1000);
  mesh.engine(1).models[0].context_max = Tokens(4000);
  const Decision decision = mesh.decide(chat(2000));
  EXPECT_EQ(decision.endpoint, id(1));
  EXPECT_EQ(rejection_of(decision, id(0)), Rejection::kTooLong);
  EXPECT_EQ(mesh.decide(chat(9000)).endpoint, id(1));
}

TEST(Pipeline, AsksOnlyEnginesThatServeTheRoute) {
  TestMesh mesh(2);
  mesh.engine(0).apis = {Api::kEmbeddings};
  const Decision decision = mesh.decide(chat(100));
  EXPECT_EQ(decision.endpoint, id(1));
  EXPECT_EQ(rejection_of(decision, id(0)), Rejection::kApi);
  RequestFacts facts;
  facts.api = Api::kEmbeddings;
  mesh.cell(1).in_flight = 50;
  EXPECT_EQ(mesh.decide(facts).endpoint, id(0));
}

TEST(Pipeline, SaysThatNoEngineServesTheRouteWhateverItsState) {
  TestMesh mesh(2);
  mesh.engine(0).apis = {};
  mesh.engine(1).apis = {Api::kEmbeddings};
  mesh.engine(1).state = EndpointState::kDown;
  const Decision decision = mesh.decide(chat(100));
  EXPECT_FALSE(decision.endpoint);
  EXPECT_FALSE(decision.wait);
  EXPECT_EQ(decision.refusal, ErrorCode::kApiNotServed);
  mesh.engine(1).apis = {Api::kChat};
  EXPECT_EQ(mesh.decide(chat(100)).refusal, ErrorCode::kNoHealthyBackend);
}

TEST(Pipeline, BreaksTiesById) {
  TestMesh mesh(5, PolicyKind::kLeastRequest);
  EXPECT_EQ(mesh.decide(chat(100)).endpoint, id(0));
}

TEST(Pipeline, NotesAtMostSixteenOfAThousand) {
  TestMesh mesh(1000);
  const Decision decision = mesh.decide(chat(100));
  EXPECT_THAT(decision.notes, SizeIs(kCandidatesNotedMax));
  EXPECT_EQ(decision.candidates_total, 1000);
}

TEST(Pipeline, AModelsOwnPolicyGoesBeforeThePools) {
  TestMesh mesh(2, PolicyKind::kRandom);
  RoutingPolicyObject own;
  own.policy = PolicyKind::kRoundRobin;
  mesh.view.models[0].policy = own;
  EXPECT_EQ(mesh.decide(chat(100)).policy, PolicyKind::kRoundRobin);
}

}  // namespace
}  // namespace infermesh::route
