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

  // A second model on the same engines, in the same pool.
  void add_model(std::string name) {
    Model model = view.models[0];
    model.id = ModelId(static_cast<std::uint16_t>(view.models.size()));
    model.name = std::move(name);
    view.models.push_back(std::move(model));
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
  ASSERT_EQ(ejector.ejections().size(), 1U);
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

TEST_F(EjectorTest, TellsSinceWhenThroughFailedTrialsAndAnewAfterAReturn) {
  feed(0, OutcomeKind::kReset, 5);
  ejector.step(now, view);
  EXPECT_EQ(ejector.ejections()[0].since, kStart);
  now = ejector.ejections()[0].until;
  ejector.step(now, view);
  feed(0, OutcomeKind::kReset, 1, true);
  ejector.step(now, view);
  EXPECT_EQ(ejector.ejections()[0].since, kStart);
  now = ejector.ejections()[0].until;
  ejector.step(now, view);
  feed(0, OutcomeKind::kOk, 1, true);
  EXPECT_EQ(out(), std::vector<unsigned>{});
  now += 1s;
  feed(0, OutcomeKind::kReset, 5);
  ASSERT_EQ(out(), std::vector<unsigned>{0});
  EXPECT_EQ(ejector.ejections()[0].since, now);
}

TEST_F(EjectorTest, OpensWhenHalfOfAWindowFails) {
  for (int i = 0; i < 9; ++i) {
    feed(2, OutcomeKind::kOk);
    feed(2, OutcomeKind::kEngineError);
  }
  EXPECT_EQ(out(), std::vector<unsigned>{});
  feed(2, OutcomeKind::kOk);
  feed(2, OutcomeKind::kEngineError);
  ASSERT_EQ(out(), std::vector<unsigned>{2});
  EXPECT_EQ(ejector.ejections()[0].reason, "10 of 20 requests failed");
}

TEST_F(EjectorTest, AWaitIsAMinuteAtMostAndShortAgainAfterACalmOne) {
  feed(0, OutcomeKind::kReset, 5);
  ejector.step(now, view);
  const auto wait_over = [&](OutcomeKind trial) {
    now = ejector.ejections()[0].until;
    ejector.step(now, view);
    feed(0, trial, 1, true);
    ejector.step(now, view);
  };
  for (int i = 0; i < 12; ++i) wait_over(OutcomeKind::kReset);
  EXPECT_GE(ejector.ejections()[0].until - now, 48s);
  EXPECT_LE(ejector.ejections()[0].until - now, 72s);
  wait_over(OutcomeKind::kOk);
  now += 59s;
  feed(0, OutcomeKind::kReset, 5);
  ejector.step(now, view);
  EXPECT_GE(ejector.ejections()[0].until - now, 48s) << "it has just been bad";
  wait_over(OutcomeKind::kOk);
  now += 61s;
  feed(0, OutcomeKind::kReset, 5);
  ejector.step(now, view);
  EXPECT_LE(ejector.ejections()[0].until - now, 1200ms);
}

TEST_F(EjectorTest, WaitsAreJittered) {
  for (unsigned i = 0; i < 2; ++i) feed(i, OutcomeKind::kReset, 5);
  ejector.step(now, view);
  ASSERT_EQ(ejector.ejections().size(), 2U);
  EXPECT_NE(ejector.ejections()[0].until, ejector.ejections()[1].until);
}

TEST_F(EjectorTest, AnEngineIsOutForOneModelAndServesTheOthers) {
  add_model("n");
  feed(1, OutcomeKind::kEngineError, 5);
  ejector.step(now, view);
  ASSERT_EQ(ejector.ejections().size(), 1U);
  EXPECT_EQ(ejector.ejections()[0].model, view.models[0].id);
  Outcome other = outcome(2, OutcomeKind::kEngineError);
  other.model_key = name_hash("n");
  for (int i = 0; i < 5; ++i) ejector.on_outcome(now, other, rng);
  ejector.step(now, view);
  ASSERT_EQ(ejector.ejections().size(), 2U);
  EXPECT_EQ(ejector.ejections()[1].endpoint, id(2));
  EXPECT_EQ(ejector.ejections()[1].model, view.models[1].id);
}

TEST_F(EjectorTest, FailuresOfLongAgoDoNotOpenIt) {
  for (int i = 0; i < 19; ++i) {
    feed(2, i % 2 == 0 ? OutcomeKind::kEngineError : OutcomeKind::kOk);
  }
  now += 11s;
  feed(2, OutcomeKind::kOk);
  feed(2, OutcomeKind::kEngineError);
  EXPECT_EQ(out(), std::vector<unsigned>{});
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

TEST_F(EjectorTest, TheShareIsThePools) {
  grow(8);
  for (unsigned i = 0; i < 8; ++i) feed(i, OutcomeKind::kReset, 5);
  view.pools[0].spec.ejected_share_max = 0.25;
  EXPECT_EQ(out(), (std::vector<unsigned>{0, 1}));
  view.pools[0].spec.ejected_share_max = 1;
  EXPECT_EQ(out().size(), 7U) << "but never the last ready one";
  view.pools[0].spec.ejected_share_max = 0;
  EXPECT_EQ(out(), std::vector<unsigned>{});
}

TEST_F(EjectorTest, TakesOutTheOneThatFailsFarMoreThanTheRestForAWhile) {
  for (unsigned i = 0; i < 4; ++i) {
    for (int n = 0; n < 30; ++n) {
      feed(i, i == 3 && n % 3 == 0 ? OutcomeKind::kEngineError : OutcomeKind::kOk);
    }
  }
  ASSERT_EQ(out(), std::vector<unsigned>{3});
  EXPECT_EQ(ejector.ejections()[0].until, now + 30s);
  now += 29s;
  EXPECT_EQ(out(), std::vector<unsigned>{3});
  EXPECT_EQ(ejector.next_deadline(), kStart + 30s);
  now += 1s;
  EXPECT_EQ(out(), std::vector<unsigned>{});
}

TEST_F(EjectorTest, AnOutlierIsOutLongerEachTimeUpToFiveMinutes) {
  std::vector<Duration> waits;
  for (int time = 0; time < 12; ++time) {
    for (unsigned i = 0; i < 4; ++i) {
      for (int n = 0; n < 30; ++n) {
        feed(i, i == 3 && n % 3 == 0 ? OutcomeKind::kEngineError : OutcomeKind::kOk);
      }
    }
    ASSERT_EQ(out(), std::vector<unsigned>{3}) << time;
    waits.push_back(ejector.ejections()[0].until - now);
    now = ejector.ejections()[0].until;
  }
  EXPECT_EQ(waits[0], 30s);
  EXPECT_EQ(waits[1], 60s);
  EXPECT_EQ(waits[2], 90s);
  EXPECT_EQ(waits.back(), 300s);
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
