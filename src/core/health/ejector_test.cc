#include "core/health/ejector.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace infermesh::health {
namespace {

constexpr Instant kStart{1h};

EndpointId id(unsigned value) {
  return EndpointId(static_cast<std::uint16_t>(value));
}

struct EjectorTest : testing::Test {
  EjectorTest() { grow(4); }

  void grow(unsigned engines) {
    view = MeshView{};
    view.pools.emplace_back().spec.ejected_share_max = 0.5;
    Model& model = view.models.emplace_back();
    model.name = "m";
    for (unsigned i = 0; i < engines; ++i) {
      Endpoint endpoint;
      endpoint.id = id(i);
      endpoint.state = EndpointState::kReady;
      view.endpoints.push_back(endpoint);
      model.endpoints.push_back(id(i));
    }
  }

  Outcome outcome(unsigned endpoint, OutcomeKind kind, bool trial = false) const {
    Outcome result;
    result.endpoint = id(endpoint);
    result.model_key = name_hash("m");
    result.kind = kind;
    result.trial = trial;
    result.sent_at = now;
    return result;
  }
  void feed(unsigned endpoint, OutcomeKind kind, int times = 1, bool trial = false) {
    for (int i = 0; i < times; ++i) ejector.on_outcome(now, outcome(endpoint, kind, trial), rng);
  }
  std::vector<unsigned> out() {
    ejector.step(now, view);
    std::vector<unsigned> ids;
    for (const Ejection& ejection : ejector.ejections()) ids.push_back(ejection.endpoint.value);
    return ids;
  }

  MeshView view;
  Ejector ejector;
  Rng rng{5};
  Instant now = kStart;
};

TEST_F(EjectorTest, OpensAfterFailuresInARowThenAsksForOneTrialThenCloses) {
  feed(1, OutcomeKind::kEngineError, 4);
  feed(1, OutcomeKind::kOk);
  feed(1, OutcomeKind::kEngineError, 4);
  EXPECT_EQ(out(), std::vector<unsigned>{});
  feed(1, OutcomeKind::kEngineError);
  EXPECT_TRUE(ejector.step(now, view));
  ASSERT_EQ(ejector.ejections().size(), 1U);
  const Ejection open = ejector.ejections()[0];
  EXPECT_EQ(open.endpoint, id(1));
  EXPECT_FALSE(open.half_open);
  EXPECT_EQ(open.reason, "5 failures in a row");
  EXPECT_GE(open.until - now, 800ms);
  EXPECT_LE(open.until - now, 1200ms);
  EXPECT_EQ(ejector.next_deadline(), open.until);
  EXPECT_FALSE(ejector.step(now, view)) << "nothing changed";

  now = open.until;
  EXPECT_TRUE(ejector.step(now, view));
  EXPECT_TRUE(ejector.ejections()[0].half_open);
  EXPECT_EQ(ejector.ejections()[0].until, kNever);
  feed(1, OutcomeKind::kOk, 1, true);
  EXPECT_TRUE(ejector.step(now, view));
  EXPECT_TRUE(ejector.ejections().empty());
  EXPECT_EQ(ejector.generation(), 3U);
}

TEST_F(EjectorTest, EachFailedTrialDoublesTheWait) {
  feed(0, OutcomeKind::kReset, 5);
  ejector.step(now, view);
  Duration last = ejector.ejections()[0].until - now;
  for (int i = 0; i < 4; ++i) {
    now = ejector.ejections()[0].until;
    ejector.step(now, view);
    feed(0, OutcomeKind::kReset, 1, true);
    ejector.step(now, view);
    const Duration wait = ejector.ejections()[0].until - now;
    EXPECT_GT(wait, last);
    last = wait;
  }
  EXPECT_GE(last, 12s);
}

TEST_F(EjectorTest, OpensWhenHalfOfAWindowFails) {
  for (int i = 0; i < 9; ++i) {
    feed(2, OutcomeKind::kOk);
    feed(2, OutcomeKind::kEngineError);
  }
  EXPECT_EQ(out(), std::vector<unsigned>{});
  feed(2, OutcomeKind::kOk);
  feed(2, OutcomeKind::kEngineError);
  EXPECT_EQ(out(), std::vector<unsigned>{2});
  EXPECT_EQ(ejector.ejections()[0].reason, "10 of 20 requests failed");
}

TEST_F(EjectorTest, WhatTheClientDidWrongOrGaveUpIsNoFailure) {
  feed(0, OutcomeKind::kClientError, 50);
  feed(0, OutcomeKind::kCancelled, 50);
  EXPECT_EQ(out(), std::vector<unsigned>{});
}

TEST_F(EjectorTest, OldOutcomesDoNotDecideATrial) {
  const Outcome old = outcome(0, OutcomeKind::kOk);
  feed(0, OutcomeKind::kReset, 5);
  ejector.step(now, view);
  now = ejector.ejections()[0].until;
  ejector.step(now, view);
  ejector.on_outcome(now, old, rng);
  EXPECT_EQ(out(), std::vector<unsigned>{0});
}

TEST_F(EjectorTest, TakesOutAtMostTheShareAndNeverTheLastReadyOne) {
  for (unsigned i = 0; i < 4; ++i) feed(i, OutcomeKind::kReset, 5);
  EXPECT_EQ(out(), (std::vector<unsigned>{0, 1}));
  for (unsigned i = 1; i < 4; ++i) view.endpoints[i]->state = EndpointState::kDown;
  EXPECT_EQ(out(), std::vector<unsigned>{});
  grow(1);
  EXPECT_EQ(out(), std::vector<unsigned>{});
}

TEST_F(EjectorTest, TakesOutTheOneThatFailsFarMoreThanTheRestForAWhile) {
  for (unsigned i = 0; i < 4; ++i) {
    for (int n = 0; n < 30; ++n) {
      feed(i, i == 3 && n % 3 == 0 ? OutcomeKind::kEngineError : OutcomeKind::kOk);
    }
  }
  EXPECT_EQ(out(), std::vector<unsigned>{3});
  EXPECT_EQ(ejector.ejections()[0].until, now + 30s);
  now += 29s;
  EXPECT_EQ(out(), std::vector<unsigned>{3});
  EXPECT_EQ(ejector.next_deadline(), kStart + 30s);
  now += 1s;
  EXPECT_EQ(out(), std::vector<unsigned>{});
}

TEST_F(EjectorTest, WatchesABoundedNumberOfPairs) {
  EjectorSettings settings;
  settings.entries_max = 2;
  ejector = Ejector(settings);
  feed(0, OutcomeKind::kOk);
  feed(1, OutcomeKind::kOk);
  feed(2, OutcomeKind::kReset, 9);
  EXPECT_EQ(out(), std::vector<unsigned>{});
  EXPECT_EQ(ejector.unwatched(), 9U);
  now += 11min;
  ejector.step(now, view);
  feed(2, OutcomeKind::kReset, 5);
  EXPECT_EQ(out(), std::vector<unsigned>{2}) << "idle pairs made room";
}

TEST_F(EjectorTest, ForgetsAnEndpoint) {
  feed(0, OutcomeKind::kReset, 5);
  EXPECT_EQ(out(), std::vector<unsigned>{0});
  ejector.forget(id(0));
  EXPECT_EQ(out(), std::vector<unsigned>{});
}

TEST(Outliers, ASmallPoolsOneBadEndpointIsFound) {
  const std::vector<SuccessCount> counts{{50, 0}, {50, 0}, {50, 15}};
  EXPECT_EQ(outliers(counts, {}), std::vector<std::size_t>{2});
}

TEST(Outliers, NeedPeersRequestsAndARealDifference) {
  const std::vector<SuccessCount> two{{50, 0}, {50, 20}};
  EXPECT_TRUE(outliers(two, {}).empty());
  const std::vector<SuccessCount> few{{50, 0}, {50, 0}, {10, 9}};
  EXPECT_TRUE(outliers(few, {}).empty());
  const std::vector<SuccessCount> close{{1000, 0}, {1000, 0}, {1000, 30}};
  EXPECT_TRUE(outliers(close, {}).empty());
  const std::vector<SuccessCount> alike{{50, 20}, {50, 20}, {50, 20}};
  EXPECT_TRUE(outliers(alike, {}).empty());
}

}  // namespace
}  // namespace infermesh::health
