#include "core/health/endpoint_health.h"

#include <gtest/gtest.h>

namespace infermesh::health {
namespace {

constexpr Instant kStart{1h};

Outcome outcome(OutcomeKind kind, Instant sent_at = kStart) {
  Outcome result;
  result.kind = kind;
  result.sent_at = sent_at;
  return result;
}

EndpointHealth ready() {
  EndpointHealth health(kStart);
  health.on_probe(kStart, ProbeVerdict::kHealthy);
  return health;
}

TEST(EndpointHealth, JoinsWithTheFirstGoodProbe) {
  EndpointHealth health(kStart);
  EXPECT_EQ(health.state(), EndpointState::kJoining);
  EXPECT_EQ(health.reason(), "not probed yet");
  health.on_probe(kStart + 1s, ProbeVerdict::kLoading, "loading model");
  EXPECT_EQ(health.state(), EndpointState::kJoining);
  EXPECT_EQ(health.reason(), "loading model");
  health.on_probe(kStart + 2s, ProbeVerdict::kHealthy);
  EXPECT_EQ(health.state(), EndpointState::kReady);
  EXPECT_EQ(health.reason(), "");
  EXPECT_EQ(health.since(), kStart + 2s);
}

TEST(EndpointHealth, GoesOverSuspectToDownAndSaysWhy) {
  EndpointHealth health = ready();
  health.on_probe(kStart + 1s, ProbeVerdict::kFailed, "connection refused");
  EXPECT_EQ(health.state(), EndpointState::kSuspect);
  EXPECT_EQ(health.reason(), "connection refused");
  health.on_outcome(kStart + 2s, outcome(OutcomeKind::kConnectFailed));
  EXPECT_EQ(health.state(), EndpointState::kSuspect);
  health.on_probe(kStart + 3s, ProbeVerdict::kFailed, "connection refused");
  EXPECT_EQ(health.state(), EndpointState::kDown);
  EXPECT_EQ(health.reason(), "connection refused, 3 times in a row");
  EXPECT_EQ(health.since(), kStart + 3s);
}

TEST(EndpointHealth, ComesBackFromDownAfterTwoGoodProbes) {
  EndpointHealth health = ready();
  for (int i = 0; i < 3; ++i) health.on_probe(kStart, ProbeVerdict::kFailed);
  health.on_probe(kStart, ProbeVerdict::kHealthy);
  EXPECT_EQ(health.state(), EndpointState::kDown);
  EXPECT_EQ(health.reason(), "answers again, 1 of 2 good probes");
  health.on_probe(kStart, ProbeVerdict::kFailed);
  health.on_probe(kStart, ProbeVerdict::kHealthy);
  EXPECT_EQ(health.state(), EndpointState::kDown);
  health.on_probe(kStart, ProbeVerdict::kHealthy);
  EXPECT_EQ(health.state(), EndpointState::kReady);
}

TEST(EndpointHealth, RequestsWithoutAnswerMakeItSuspectAndAnAnswerClearsThat) {
  EndpointHealth health = ready();
  for (int i = 0; i < 2; ++i) health.on_outcome(kStart, outcome(OutcomeKind::kReset));
  EXPECT_EQ(health.state(), EndpointState::kReady);
  health.on_outcome(kStart, outcome(OutcomeKind::kTimeout));
  EXPECT_EQ(health.state(), EndpointState::kSuspect);
  EXPECT_EQ(health.reason(), "requests get no answer, 3 times in a row");
  health.on_probe(kStart + 1s, ProbeVerdict::kHealthy);
  EXPECT_EQ(health.state(), EndpointState::kSuspect) << "one probe does not outdo three requests";
  health.on_outcome(kStart + 2s, outcome(OutcomeKind::kOk, kStart + 1s));
  EXPECT_EQ(health.state(), EndpointState::kReady);
}

TEST(EndpointHealth, TwoGoodProbesClearASuspicion) {
  EndpointHealth health = ready();
  for (int i = 0; i < 3; ++i) health.on_outcome(kStart, outcome(OutcomeKind::kReset));
  health.on_probe(kStart, ProbeVerdict::kHealthy);
  health.on_probe(kStart, ProbeVerdict::kHealthy);
  EXPECT_EQ(health.state(), EndpointState::kReady);
}

TEST(EndpointHealth, EngineErrorsAreNotAbsence) {
  EndpointHealth health = ready();
  for (int i = 0; i < 9; ++i) health.on_outcome(kStart, outcome(OutcomeKind::kEngineError));
  for (int i = 0; i < 9; ++i) health.on_outcome(kStart, outcome(OutcomeKind::kCancelled));
  EXPECT_EQ(health.state(), EndpointState::kReady);
}

TEST(EndpointHealth, AnswersSentBeforeItWentDownProveNothing) {
  EndpointHealth health = ready();
  for (int i = 0; i < 3; ++i) health.on_probe(kStart + 5s, ProbeVerdict::kFailed);
  health.on_outcome(kStart + 6s, outcome(OutcomeKind::kOk, kStart));
  EXPECT_EQ(health.state(), EndpointState::kDown);
}

TEST(EndpointHealth, DrainingLiesOverReadyButNotOverDown) {
  EndpointHealth health = ready();
  health.drain(kStart + 1s);
  EXPECT_EQ(health.state(), EndpointState::kDraining);
  EXPECT_EQ(health.reason(), "draining");
  for (int i = 0; i < 3; ++i) health.on_probe(kStart + 2s, ProbeVerdict::kFailed, "reset");
  EXPECT_EQ(health.state(), EndpointState::kDown);
  for (int i = 0; i < 2; ++i) health.on_probe(kStart + 3s, ProbeVerdict::kHealthy);
  EXPECT_EQ(health.state(), EndpointState::kDraining);
  health.undrain(kStart + 4s);
  EXPECT_EQ(health.state(), EndpointState::kReady);
  EXPECT_EQ(health.reason(), "");
}

}  // namespace
}  // namespace infermesh::health
