// Golden step traces: what each step computes and what comes out of it, as text. A change here is a
// change of what every simulation says; read the difference before taking it over.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/engine/engine.h"
#include "core/engine/testing.h"

namespace infermesh::engine {
namespace {

std::string name(EventKind kind) {
  switch (kind) {
    case EventKind::kScheduled:
      return "scheduled";
    case EventKind::kFirstToken:
      return "first";
    case EventKind::kToken:
      return "token";
    case EventKind::kPreempted:
      return "preempted";
    case EventKind::kFinished:
      return "finished";
  }
  return "?";
}

// One line a step: start, length, load; then the events up to its end and the planning of the next
// one.
std::string trace(Engine& engine) {
  std::string text = "\n";
  const auto events = [&] {
    std::string line;
    for (const auto& event : engine.take_output()) {
      line += fmt::format(" {}:{}", name(event.kind), event.id.value);
      if (event.kind == EventKind::kScheduled)
        line += fmt::format("({})", event.cached_tokens.value);
    }
    return line.empty() ? std::string(" -") : line;
  };
  text += "start:" + events() + "\n";
  double start = 0;
  for (int steps = 0; engine.next_deadline() != kNever && steps < 200; ++steps) {
    const Instant end = engine.next_deadline();
    const StepLoad load = engine.current_step();
    const EngineStats stats = engine.stats();
    engine.on_deadline(end);
    text += fmt::format("{:g} ms p{} d{} c{} run {} wait {} kv {:.0f}%:{}\n", start,
                        load.prefill_tokens, load.decode_sequences, load.context_tokens,
                        stats.running, stats.waiting, stats.kv_used * 100, events());
    start = to_millis(end.time_since_epoch());
  }
  return text;
}

TEST(EngineTrace, OneRequestPrefillsThenDecodes) {
  Engine engine(test_profile());
  engine.submit(at(0ms), request(1, {}, 100, 3));
  EXPECT_EQ(trace(engine), R"(
start: scheduled:1(0)
0 ms p100 d0 c0 run 1 wait 0 kv 7%: first:1
11 ms p0 d1 c100 run 1 wait 0 kv 7%: token:1
21.1 ms p0 d1 c101 run 1 wait 0 kv 7%: token:1 finished:1
)");
}

TEST(EngineTrace, APromptOverTheBudgetIsCutIntoChunks) {
  auto profile = test_profile();
  profile.batch_tokens_max = 64;
  Engine engine(profile);
  engine.submit(at(0ms), request(1, {}, 150, 2));
  EXPECT_EQ(trace(engine), R"(
start: scheduled:1(0)
0 ms p64 d0 c0 run 1 wait 0 kv 4%: -
10.64 ms p64 d0 c64 run 1 wait 0 kv 8%: -
21.28 ms p22 d0 c128 run 1 wait 0 kv 10%: first:1
31.5 ms p0 d1 c150 run 1 wait 0 kv 10%: token:1 finished:1
)");
}

TEST(EngineTrace, DecodingSequencesGoBeforeAWaitingPrompt) {
  auto profile = test_profile();
  profile.batch_tokens_max = 32;
  Engine engine(profile);
  engine.submit(at(0ms), request(1, {}, 16, 5));
  engine.submit(at(0ms), request(2, {}, 60, 2));
  EXPECT_EQ(trace(engine), R"(
start: scheduled:1(0)
0 ms p16 d0 c0 run 1 wait 1 kv 1%: first:1 scheduled:2(0)
10.16 ms p31 d1 c16 run 2 wait 0 kv 4%: token:1
20.57 ms p29 d1 c48 run 2 wait 0 kv 6%: token:1 first:2
30.96 ms p0 d2 c78 run 2 wait 0 kv 6%: token:1 token:2 finished:2
41.16 ms p0 d1 c19 run 1 wait 0 kv 2%: token:1 finished:1
)");
}

TEST(EngineTrace, ASharedPrefixIsComputedOnce) {
  Engine engine(test_profile());
  engine.submit(at(0ms), request(1, {11, 12, 13}, 50, 2));
  engine.submit(at(0ms), request(2, {11, 12, 13}, 50, 2));
  engine.submit(at(0ms), request(3, {11, 12, 99}, 50, 2));
  EXPECT_EQ(trace(engine), R"(
start: scheduled:1(0)
0 ms p50 d0 c0 run 1 wait 2 kv 4%: first:1 scheduled:2(48) scheduled:3(32)
10.5 ms p20 d1 c130 run 3 wait 0 kv 7%: token:1 finished:1 first:2 first:3
20.8 ms p0 d2 c100 run 2 wait 0 kv 6%: token:2 finished:2 token:3 finished:3
)");
}

TEST(EngineTrace, TheYoungestGivesWayWhenBlocksRunOut) {
  auto profile = test_profile();
  profile.kv_blocks = 6;
  Engine engine(profile);
  engine.submit(at(0ms), request(1, {11, 12}, 40, 20));
  engine.submit(at(0ms), request(2, {21, 22}, 40, 12));
  EXPECT_EQ(trace(engine), R"(
start: scheduled:1(0)
0 ms p40 d0 c0 run 1 wait 1 kv 50%: first:1 scheduled:2(0)
10.4 ms p40 d1 c40 run 2 wait 0 kv 100%: token:1 first:2
20.9 ms p0 d2 c81 run 2 wait 0 kv 100%: token:1 token:2
31.1 ms p0 d2 c83 run 2 wait 0 kv 100%: token:1 token:2
41.3 ms p0 d2 c85 run 2 wait 0 kv 100%: token:1 token:2
51.5 ms p0 d2 c87 run 2 wait 0 kv 100%: token:1 token:2
61.7 ms p0 d2 c89 run 2 wait 0 kv 100%: token:1 token:2
71.9 ms p0 d2 c91 run 2 wait 0 kv 100%: token:1 token:2
82.1 ms p0 d2 c93 run 2 wait 0 kv 100%: token:1 token:2 preempted:2
92.3 ms p0 d1 c48 run 1 wait 1 kv 67%: token:1
102.4 ms p0 d1 c49 run 1 wait 1 kv 67%: token:1
112.5 ms p0 d1 c50 run 1 wait 1 kv 67%: token:1
122.6 ms p0 d1 c51 run 1 wait 1 kv 67%: token:1
132.7 ms p0 d1 c52 run 1 wait 1 kv 67%: token:1
142.8 ms p0 d1 c53 run 1 wait 1 kv 67%: token:1
152.9 ms p0 d1 c54 run 1 wait 1 kv 67%: token:1
163 ms p0 d1 c55 run 1 wait 1 kv 67%: token:1
173.1 ms p0 d1 c56 run 1 wait 1 kv 67%: token:1
183.2 ms p0 d1 c57 run 1 wait 1 kv 67%: token:1
193.3 ms p0 d1 c58 run 1 wait 1 kv 67%: token:1 finished:1
203.4 ms p16 d0 c32 run 1 wait 0 kv 50%: token:2
213.56 ms p0 d1 c48 run 1 wait 0 kv 67%: token:2
223.66 ms p0 d1 c49 run 1 wait 0 kv 67%: token:2
233.76 ms p0 d1 c50 run 1 wait 0 kv 67%: token:2 finished:2
)");
}

TEST(EngineTrace, OnlySoManyRunAtOnce) {
  auto profile = test_profile();
  profile.sequences_max = 2;
  Engine engine(profile);
  for (std::uint64_t id = 1; id <= 4; ++id) engine.submit(at(0ms), request(id, {}, 10, 2));
  EXPECT_EQ(trace(engine), R"(
start: scheduled:1(0)
0 ms p10 d0 c0 run 1 wait 3 kv 1%: first:1 scheduled:2(0)
10.1 ms p10 d1 c10 run 2 wait 2 kv 2%: token:1 finished:1 first:2 scheduled:3(0)
20.3 ms p10 d1 c10 run 2 wait 1 kv 2%: token:2 finished:2 first:3 scheduled:4(0)
30.5 ms p10 d1 c10 run 2 wait 0 kv 2%: token:3 finished:3 first:4
40.7 ms p0 d1 c10 run 1 wait 0 kv 1%: token:4 finished:4
)");
}

}  // namespace
}  // namespace infermesh::engine
