#include "signal/engine/poll_pace.h"

#include <gtest/gtest.h>

namespace infermesh::signal {
namespace {

constexpr auto kLow = [](Duration d) { return d * 8 / 10; };
constexpr auto kHigh = [](Duration d) { return d * 12 / 10; };

TEST(PollPace, IsShortWhileActiveAndGrowsWhileIdle) {
  Rng rng(1);
  PollPace pace(100ms, 2s);
  for (int i = 0; i < 20; ++i) {
    const Duration wait = pace.next(Activity::kActive, rng);
    EXPECT_GE(wait, kLow(100ms));
    EXPECT_LE(wait, kHigh(100ms));
  }
  Duration before = 0s;
  for (int i = 0; i < 20; ++i) before = pace.next(Activity::kIdle, rng);
  EXPECT_GE(before, kLow(2s));
  EXPECT_LE(before, kHigh(2s));
  EXPECT_LE(pace.next(Activity::kActive, rng), kHigh(100ms));
}

TEST(PollPace, IsJittered) {
  Rng rng(1);
  PollPace pace(100ms, 2s);
  const Duration first = pace.next(Activity::kActive, rng);
  EXPECT_NE(first, pace.next(Activity::kActive, rng));
}

TEST(PollPace, LooksAtLeastEverySecondForAnEngineToComeUp) {
  Rng rng(1);
  PollPace pace(100ms, 10s);
  for (int i = 0; i < 30; ++i) EXPECT_LE(pace.next(Activity::kNotReady, rng), kHigh(1s));
}

TEST(PollPace, LooksCloselyWhenAnEngineFailsOrComesBack) {
  Rng rng(1);
  PollPace pace(100ms, 2s);
  for (int i = 0; i < 30; ++i) pace.next(Activity::kIdle, rng);
  EXPECT_LE(pace.next(Activity::kNotReady, rng), kHigh(100ms));
  for (int i = 0; i < 30; ++i) pace.next(Activity::kNotReady, rng);
  EXPECT_LE(pace.next(Activity::kIdle, rng), kHigh(100ms));
}

TEST(Activity, IsWorkOrAChangeOfFigures) {
  EngineReport idle;
  idle.running = 0;
  idle.prompt_tokens = 5;
  EXPECT_FALSE(is_active(idle, idle));
  EngineReport busy = idle;
  busy.running = 1;
  EXPECT_TRUE(is_active(busy, busy));
  EngineReport served = idle;
  served.prompt_tokens = 9;
  EXPECT_TRUE(is_active(served, idle)) << "a request came and went between two readings";
  EngineReport waiting = idle;
  waiting.waiting = 1;
  EXPECT_TRUE(is_active(waiting, waiting));
  EngineReport generated = idle;
  generated.generation_tokens = 1;
  EXPECT_TRUE(is_active(generated, idle));
  EngineReport cached = idle;
  cached.kv_used = 0.5;
  EXPECT_TRUE(is_active(cached, idle));
  EXPECT_FALSE(is_active(cached, cached)) << "a full cache is no work";
}

engines::LoadReading reading(std::uint64_t work, std::optional<double> start = {}) {
  engines::LoadReading result;
  result.work_done = work;
  result.started_at = start;
  return result;
}

TEST(RestartWatch, NoticesCountersThatWentBack) {
  RestartWatch watch;
  EXPECT_FALSE(watch.restarted(reading(10), ""));
  EXPECT_FALSE(watch.restarted(reading(10), ""));
  EXPECT_FALSE(watch.restarted(reading(15), ""));
  EXPECT_TRUE(watch.restarted(reading(3), ""));
  EXPECT_FALSE(watch.restarted(reading(4), ""));
}

TEST(RestartWatch, NoticesAnotherStartTime) {
  RestartWatch watch;
  EXPECT_FALSE(watch.restarted(reading(10, 1000.0), ""));
  EXPECT_FALSE(watch.restarted(reading(11, 1000.4), "")) << "clocks are adjusted";
  EXPECT_TRUE(watch.restarted(reading(50, 1100.0), ""));
}

TEST(RestartWatch, NoticesAnotherStartHeader) {
  RestartWatch watch;
  EXPECT_FALSE(watch.restarted(reading(10), "971260980"));
  EXPECT_FALSE(watch.restarted(reading(11), ""));
  EXPECT_FALSE(watch.restarted(reading(12), "971260980"));
  EXPECT_TRUE(watch.restarted(reading(13), "971269999"));
}

}  // namespace
}  // namespace infermesh::signal
