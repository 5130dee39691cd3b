// Policies against an oracle in a modelled world. The tables are printed; what is asserted are
// orders and ratios with room to spare, so that tuning does not break them and losing the feature
// does.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/route/test_world.h"

namespace infermesh::route {
namespace {

constexpr Instant kStart{1h};

engine::EngineProfile gpu() {
  engine::EngineProfile profile;
  profile.step_base = 8ms;
  profile.prefill_ns_per_token = 100'000;  // 10,000 tokens/s
  profile.decode_ns_per_sequence = 150'000;
  profile.context_ns_per_token = 20;
  profile.kv_blocks = 6000;  // 96,000 tokens
  profile.sequences_max = 128;
  return profile;
}

WorldSettings engines(std::vector<double> speeds) {
  WorldSettings settings;
  settings.speeds = std::move(speeds);
  settings.profile = gpu();
  return settings;
}

using Results = std::map<std::string, WorldResult>;

Results run_all(const WorldSettings& settings, const Workload& workload) {
  const auto requests = make_requests(workload, kStart);
  const std::size_t warm_up = requests.size() / 10;
  Results results;
  fmt::print("{:17} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}   requests by engine\n",
             "ttft ms, tpot ms", "mean", "p50", "p90", "p99", "tpot", "total s", "hits");
  const auto add = [&](std::string name, std::optional<PolicyKind> policy) {
    results[name] = World(settings, policy).run(requests, warm_up);
    fmt::print("{}\n", results[name].row(name));
  };
  add("oracle", std::nullopt);
  for (const PolicyKind policy : {PolicyKind::kExpectedLatency, PolicyKind::kPrefixAffinity,
                                  PolicyKind::kLeastRequest, PolicyKind::kRoundRobin}) {
    add(std::string(to_string(policy)), policy);
  }
  return results;
}

void expect_order(const Results& results, double of_oracle) {
  const double ours = results.at("expected_latency").mean_ttft;
  EXPECT_LT(ours, of_oracle * results.at("oracle").mean_ttft);
  EXPECT_LT(ours, 1.05 * results.at("prefix_affinity").mean_ttft);
  EXPECT_LT(ours, results.at("least_request").mean_ttft);
  EXPECT_LT(ours, results.at("round_robin").mean_ttft);
}

TEST(Simulation, UnequalEnginesAtModerateLoad) {
  Workload workload;
  workload.per_second = 30;
  expect_order(run_all(engines({1, 1, 1, 1, 1, 1, 0.5, 0.5}), workload), 1.25);
}

TEST(Simulation, UnequalEnginesAtHighLoadFromACold) {
  Workload workload;
  workload.seed = 13;
  workload.per_second = 45;
  expect_order(run_all(engines({1, 1, 1, 1, 1, 1, 0.5, 0.5}), workload), 1.3);
}

TEST(Simulation, EqualEnginesAtLowLoad) {
  Workload workload;
  workload.seed = 11;
  workload.per_second = 8;
  expect_order(run_all(engines({1, 1, 1, 1}), workload), 1.25);
}

TEST(Simulation, PromptsThatShareNothing) {
  Workload workload;
  workload.seed = 5;
  workload.per_second = 18;
  workload.families = 100'000;
  workload.chat_share = 0;
  expect_order(run_all(engines({1, 1, 1, 1, 1, 1, 0.5, 0.5}), workload), 1.25);
}

TEST(Simulation, SendsLessToAnEngineThatSlowsDown) {
  WorldSettings settings = engines({1, 1, 1, 1});
  settings.slow_at = kStart + 15s;
  settings.slow_engine = 1;
  settings.slow_by = 0.33;
  Workload workload;
  workload.seed = 13;
  workload.per_second = 16;
  const Results results = run_all(settings, workload);
  expect_order(results, 1.6);
  const auto& sent = results.at("expected_latency").sent;
  for (const std::size_t other : {0U, 2U, 3U}) EXPECT_LT(sent.at(1), 0.75 * sent.at(other));
}

}  // namespace
}  // namespace infermesh::route
