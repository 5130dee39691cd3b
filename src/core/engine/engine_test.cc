#include "core/engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/rng.h"
#include "core/engine/testing.h"

namespace infermesh::engine {
namespace {

using ::testing::ElementsAre;

std::vector<EngineEvent> run_until_idle(Engine& engine) {
  std::vector<EngineEvent> all = engine.take_output();
  while (engine.next_deadline() != kNever) {
    engine.on_deadline(engine.next_deadline());
    for (auto& event : engine.take_output()) all.push_back(event);
  }
  return all;
}

int count(const std::vector<EngineEvent>& events, EventKind kind, std::uint64_t id) {
  int n = 0;
  for (const auto& event : events) n += event.kind == kind && event.id == RequestId(id) ? 1 : 0;
  return n;
}

Instant time_of(const std::vector<EngineEvent>& events, EventKind kind, std::uint64_t id) {
  for (const auto& event : events) {
    if (event.kind == kind && event.id == RequestId(id)) return event.at;
  }
  return kNever;
}

TEST(Engine, IsIdleUntilSomethingIsSubmitted) {
  Engine engine(test_profile());
  EXPECT_EQ(engine.next_deadline(), kNever);
  engine.on_deadline(at(5s));
  EXPECT_TRUE(engine.take_output().empty());
  EXPECT_EQ(engine.submit(at(5s), request(1, {}, 100, 1)), Submission::kAccepted);
  EXPECT_EQ(engine.next_deadline(), at(5s + 11ms));
}

TEST(Engine, EmitsOneTokenAStepAndThenFinishes) {
  Engine engine(test_profile());
  engine.submit(at(0ms), request(1, {}, 100, 3));
  const auto events = run_until_idle(engine);
  ASSERT_EQ(events.size(), 5u);
  EXPECT_EQ(events[0].kind, EventKind::kScheduled);
  EXPECT_EQ(events[1], (EngineEvent{EventKind::kFirstToken, RequestId(1), at(11ms), Tokens(0)}));
  EXPECT_EQ(events[2], (EngineEvent{EventKind::kToken, RequestId(1), at(21100us), Tokens(0)}));
  EXPECT_EQ(events[3], (EngineEvent{EventKind::kToken, RequestId(1), at(31200us), Tokens(0)}));
  EXPECT_EQ(events[4], (EngineEvent{EventKind::kFinished, RequestId(1), at(31200us), Tokens(0)}));
  EXPECT_EQ(engine.stats().kv_used, 0.0);
}

TEST(Engine, ARequestWithoutOutputEndsWithItsPrefill) {
  Engine engine(test_profile());
  engine.submit(at(0ms), request(1, {}, 100, 0));
  const auto events = run_until_idle(engine);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1].kind, EventKind::kFinished);
  EXPECT_EQ(events[1].at, at(11ms));
  EXPECT_EQ(engine.stats().prompt_tokens, 100u);
  EXPECT_EQ(engine.stats().generation_tokens, 0u);
}

TEST(Engine, AnEmptyPromptCountsAsOneToken) {
  Engine engine(test_profile());
  EXPECT_EQ(engine.submit(at(0ms), request(1, {}, 0, 1)), Submission::kAccepted);
  EXPECT_EQ(engine.current_step().prefill_tokens, 1u);
}

TEST(Engine, ALateDriverGetsTheSameTimesAsAPunctualOne) {
  Engine punctual(test_profile());
  Engine late(test_profile());
  for (Engine* engine : {&punctual, &late}) {
    engine->submit(at(0ms), request(1, {11, 12}, 100, 20));
    engine->submit(at(1ms), request(2, {11, 12}, 70, 9));
  }
  const auto expected = run_until_idle(punctual);
  std::vector<EngineEvent> got;
  for (Duration t = 7ms; late.next_deadline() != kNever; t += 70ms) {
    late.on_deadline(at(t));
    for (auto& event : late.take_output()) got.push_back(event);
  }
  EXPECT_EQ(got, expected);
}

TEST(Engine, SubmittingLateFirstEndsTheStepsThatWereDue) {
  Engine engine(test_profile());
  engine.submit(at(0ms), request(1, {}, 100, 1));
  engine.submit(at(500ms), request(2, {}, 100, 1));
  const auto events = run_until_idle(engine);
  EXPECT_EQ(time_of(events, EventKind::kFinished, 1), at(11ms));
  EXPECT_EQ(time_of(events, EventKind::kScheduled, 2), at(500ms));
  EXPECT_EQ(time_of(events, EventKind::kFinished, 2), at(511ms));
}

TEST(Engine, RefusesWhatCanNeverFit) {
  auto profile = test_profile();
  profile.kv_blocks = 10;
  Engine engine(profile);
  EXPECT_EQ(engine.submit(at(0ms), request(1, {}, 150, 11)), Submission::kTooLong) << "161 > 160";
  EXPECT_EQ(engine.submit(at(0ms), request(2, {}, 150, 10)), Submission::kAccepted);
  profile.kv_blocks = 1000;
  Engine roomy(profile);
  EXPECT_EQ(roomy.submit(at(0ms), request(1, {}, 1900, 101)), Submission::kTooLong) << "context";
  EXPECT_EQ(roomy.submit(at(0ms), request(1, {}, 1900, 100)), Submission::kAccepted);
}

TEST(Engine, TheWaitingQueueIsBounded) {
  auto profile = test_profile();
  profile.waiting_max = 2;
  Engine engine(profile);
  EXPECT_EQ(engine.submit(at(0ms), request(1, {}, 10, 1)), Submission::kAccepted);
  EXPECT_EQ(engine.submit(at(0ms), request(2, {}, 10, 1)), Submission::kAccepted);
  EXPECT_EQ(engine.submit(at(0ms), request(3, {}, 10, 1)), Submission::kAccepted);
  EXPECT_EQ(engine.submit(at(0ms), request(4, {}, 10, 1)), Submission::kQueueFull);
  EXPECT_EQ(engine.stats().running, 1u);
  EXPECT_EQ(engine.stats().waiting, 2u);
  run_until_idle(engine);
  EXPECT_EQ(engine.submit(at(1s), request(4, {}, 10, 1)), Submission::kAccepted);
}

TEST(Engine, AnIdIsTakenUntilItFinishes) {
  Engine engine(test_profile());
  engine.submit(at(0ms), request(1, {}, 10, 2));
  EXPECT_EQ(engine.submit(at(1ms), request(1, {}, 10, 2)), Submission::kDuplicate);
  run_until_idle(engine);
  EXPECT_EQ(engine.submit(at(1s), request(1, {}, 10, 2)), Submission::kAccepted);
}

TEST(Engine, CancellingARunningRequestFreesItsPlaceAndBlocks) {
  auto profile = test_profile();
  profile.sequences_max = 1;
  Engine engine(profile);
  engine.submit(at(0ms), request(1, {}, 160, 100));
  engine.submit(at(0ms), request(2, {}, 10, 1));
  EXPECT_TRUE(engine.cancel(at(5ms), RequestId(1)));
  EXPECT_EQ(engine.stats().kv_used, 0.0);
  EXPECT_EQ(engine.stats().cancelled, 1u);
  const auto events = run_until_idle(engine);
  EXPECT_EQ(count(events, EventKind::kFirstToken, 1), 0);
  EXPECT_EQ(count(events, EventKind::kFinished, 1), 0);
  EXPECT_EQ(time_of(events, EventKind::kScheduled, 2), at(11600us))
      << "the step under way is not cut short";
}

TEST(Engine, CancellingAWaitingRequestRemovesIt) {
  auto profile = test_profile();
  profile.sequences_max = 1;
  Engine engine(profile);
  engine.submit(at(0ms), request(1, {}, 10, 1));
  engine.submit(at(0ms), request(2, {}, 10, 1));
  EXPECT_TRUE(engine.cancel(at(1ms), RequestId(2)));
  EXPECT_EQ(engine.stats().waiting, 0u);
  const auto events = run_until_idle(engine);
  EXPECT_EQ(count(events, EventKind::kScheduled, 2), 0);
  EXPECT_EQ(engine.stats().finished, 1u);
}

TEST(Engine, CancellingWhatHasFinishedSaysSo) {
  Engine engine(test_profile());
  engine.submit(at(0ms), request(1, {}, 10, 1));
  run_until_idle(engine);
  EXPECT_FALSE(engine.cancel(at(1s), RequestId(1)));
  EXPECT_FALSE(engine.cancel(at(1s), RequestId(99)));
  EXPECT_EQ(engine.stats().cancelled, 0u);
}

TEST(Engine, ALaterRequestFindsThePrefixInTheCache) {
  Engine engine(test_profile());
  engine.submit(at(0ms), request(1, {11, 12, 13}, 50, 1));
  run_until_idle(engine);
  const auto next = request(2, {11, 12, 13}, 50, 1);
  EXPECT_EQ(engine.cached_tokens(next), Tokens(48));
  engine.submit(at(1s), next);
  EXPECT_EQ(engine.current_step(), (StepLoad{2, 0, 48}));
  const auto events = run_until_idle(engine);
  EXPECT_EQ(events[0].cached_tokens, Tokens(48));
  EXPECT_EQ(events.back().cached_tokens, Tokens(48)) << "the finish tells it too";
  EXPECT_EQ(engine.stats().prefix_query_tokens, 100u);
  EXPECT_EQ(engine.stats().prefix_hit_tokens, 48u);
}

TEST(Engine, TheLastTokenOfAPromptIsAlwaysComputed) {
  Engine engine(test_profile());
  engine.submit(at(0ms), request(1, {11, 12, 13}, 48, 1));
  run_until_idle(engine);
  EXPECT_EQ(engine.cached_tokens(request(2, {11, 12, 13}, 48, 1)), Tokens(32));
  EXPECT_EQ(engine.cached_tokens(request(2, {11, 12, 13}, 49, 1)), Tokens(48));
}

TEST(Engine, TheNextTurnOfAConversationFindsTheAnswerToo) {
  Engine engine(test_profile());
  // 20 prompt tokens and 29 of output: the second and third blocks fill up while decoding.
  engine.submit(at(0ms), request(1, {11, 12, 13}, 20, 29));
  run_until_idle(engine);
  EXPECT_EQ(engine.cached_tokens(request(2, {11, 12, 13, 14}, 70, 1)), Tokens(48));
}

TEST(Engine, ForgettingTheCacheMakesEveryPromptNew) {
  Engine engine(test_profile());
  engine.submit(at(0ms), request(1, {11, 12, 13}, 50, 1));
  run_until_idle(engine);
  engine.forget_cache();
  EXPECT_EQ(engine.cached_tokens(request(2, {11, 12, 13}, 50, 1)), Tokens(0));
}

TEST(Engine, OldPrefixesAreEvictedWhenRoomIsNeeded) {
  auto profile = test_profile();
  profile.kv_blocks = 8;
  Engine engine(profile);
  engine.submit(at(0ms), request(1, {11, 12, 13, 14}, 64, 1));
  run_until_idle(engine);
  engine.submit(at(1s), request(2, {}, 110, 1));
  run_until_idle(engine);
  EXPECT_EQ(engine.cached_tokens(request(3, {11, 12, 13, 14}, 70, 1)), Tokens(16));
}

TEST(Engine, APreemptedRequestStillGetsEveryTokenOnce) {
  auto profile = test_profile();
  profile.kv_blocks = 6;
  Engine engine(profile);
  engine.submit(at(0ms), request(1, {}, 40, 30));
  engine.submit(at(0ms), request(2, {}, 40, 30));
  const auto events = run_until_idle(engine);
  EXPECT_GT(engine.stats().preemptions, 0u);
  for (const std::uint64_t id : {1u, 2u}) {
    EXPECT_EQ(count(events, EventKind::kScheduled, id), 1);
    EXPECT_EQ(count(events, EventKind::kFirstToken, id), 1);
    EXPECT_EQ(count(events, EventKind::kToken, id), 29);
    EXPECT_EQ(count(events, EventKind::kFinished, id), 1);
  }
  EXPECT_EQ(count(events, EventKind::kPreempted, 1), 0) << "the oldest is never preempted";
  EXPECT_EQ(engine.stats().generation_tokens, 60u);
  EXPECT_EQ(engine.stats().prefix_query_tokens, 80u) << "recomputing is not a new query";
}

TEST(Engine, SlowEnginesTakeProportionallyLonger) {
  auto profile = test_profile();
  profile.speed = 0.5;
  Engine slow(profile);
  slow.submit(at(0ms), request(1, {}, 100, 3));
  EXPECT_EQ(time_of(run_until_idle(slow), EventKind::kFinished, 1), at(2 * 31200us));
}

TEST(Engine, CountsItsBusyTimeAndSteps) {
  Engine engine(test_profile());
  engine.submit(at(0ms), request(1, {}, 100, 3));
  run_until_idle(engine);
  engine.submit(at(5s), request(2, {}, 100, 1));
  run_until_idle(engine);
  EXPECT_EQ(engine.stats().steps, 4u);
  EXPECT_EQ(engine.stats().busy, 31200us + 11ms);
}

TEST(Engine, ACopyCanBeAskedWhatWouldHappen) {
  Engine engine(test_profile());
  engine.submit(at(0ms), request(1, {11, 12}, 100, 50));
  engine.on_deadline(at(30ms));
  engine.take_output();
  Engine copy = engine;
  copy.submit(at(30ms), request(2, {11, 12}, 40, 1));
  const auto foreseen = time_of(run_until_idle(copy), EventKind::kFinished, 2);
  EXPECT_EQ(engine.stats().running, 1u) << "the original knows nothing of it";
  engine.submit(at(30ms), request(2, {11, 12}, 40, 1));
  EXPECT_EQ(time_of(run_until_idle(engine), EventKind::kFinished, 2), foreseen);
}

TEST(Engine, DecodeStepsReadTheWholeContext) {
  auto profile = test_profile();
  profile.context_ns_per_token = 1000;
  Engine engine(profile);
  engine.submit(at(0ms), request(1, {}, 100, 3));
  engine.on_deadline(engine.next_deadline());
  EXPECT_EQ(engine.current_step(), (StepLoad{0, 1, 100}));
  EXPECT_EQ(engine.next_deadline(), at(11ms + 10ms + 100us + 100us));
}

// Random traffic on a small engine: every accepted request ends exactly once (finished or
// cancelled), with the right number of tokens, times never go back, and all blocks come back.
class EngineRandom : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(EngineRandom, LosesNothingUnderRandomTraffic) {
  SCOPED_TRACE(::testing::Message() << "seed " << GetParam());
  Rng rng(GetParam());
  auto profile = test_profile();
  profile.kv_blocks = 40;
  profile.batch_tokens_max = 64;
  Engine engine(profile);
  struct Expected {
    std::int64_t tokens = 0;
    std::int64_t got = 0;
    int ends = 0;
  };
  std::map<std::uint64_t, Expected> requests;
  Instant now{};
  Instant last{};
  std::uint64_t id = 0;
  std::uint64_t cancelled = 0;
  for (int i = 0; i < 3'000; ++i) {
    now += Duration(1ms) * static_cast<int>(rng.below(12));
    if (rng.below(4) == 0) {
      std::vector<BlockHash> blocks;
      BlockHash chain = 1 + rng.below(3);
      for (std::uint64_t b = rng.below(12); b > 0; --b)
        blocks.push_back(chain = chain * 7 + rng.below(2));
      const auto prompt = static_cast<int>(1 + rng.below(200));
      const auto output = static_cast<int>(rng.below(100));
      ++id;
      if (engine.submit(now, request(id, blocks, prompt, output)) == Submission::kAccepted) {
        requests[id].tokens = output;
      }
    } else if (rng.below(10) == 0 && id > 0) {
      const std::uint64_t victim = 1 + rng.below(id);
      if (engine.cancel(now, RequestId(victim))) {
        ++cancelled;
        requests[victim].ends += 1;
        requests[victim].tokens = -1;
      }
    } else {
      engine.on_deadline(now);
    }
    for (const auto& event : engine.take_output()) {
      ASSERT_LE(last, event.at);
      last = event.at;
      auto& expected = requests[event.id.value];
      expected.got +=
          event.kind == EventKind::kFirstToken || event.kind == EventKind::kToken ? 1 : 0;
      expected.ends += event.kind == EventKind::kFinished ? 1 : 0;
    }
    ASSERT_LE(engine.stats().running, profile.sequences_max);
    ASSERT_LE(engine.stats().waiting, profile.waiting_max + profile.sequences_max);
  }
  for (const auto& event : run_until_idle(engine)) {
    auto& expected = requests[event.id.value];
    expected.got += event.kind == EventKind::kFirstToken || event.kind == EventKind::kToken ? 1 : 0;
    expected.ends += event.kind == EventKind::kFinished ? 1 : 0;
  }
  for (const auto& [request_id, expected] : requests) {
    EXPECT_EQ(expected.ends, 1) << request_id;
    if (expected.tokens < 0) continue;  // cancelled
    EXPECT_EQ(expected.got, expected.tokens) << request_id;
  }
  EXPECT_GT(requests.size(), 100u);
  EXPECT_GT(cancelled, 0u);
  EXPECT_GT(engine.stats().preemptions, 0u) << "the pool is small enough to run out";
  EXPECT_EQ(engine.stats().kv_used, 0.0);
}

INSTANTIATE_TEST_SUITE_P(Seeds, EngineRandom, ::testing::Values(1, 2, 3, 4, 5));

}  // namespace
}  // namespace infermesh::engine
