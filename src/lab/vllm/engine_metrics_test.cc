#include "lab/vllm/engine_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace infermesh::lab {
namespace {

using ::testing::HasSubstr;

constexpr std::array kBounds{0.1, 1.0};

TEST(PromHistogram, CountsCumulatively) {
  PromHistogram histogram(kBounds);
  for (const double value : {0.05, 0.1, 0.5, 3.0}) histogram.observe(value);
  std::string out;
  histogram.append(out, "x", "a=\"b\"");
  EXPECT_EQ(out,
            "x_bucket{a=\"b\",le=\"0.1\"} 2.0\n"
            "x_bucket{a=\"b\",le=\"1.0\"} 3.0\n"
            "x_bucket{a=\"b\",le=\"+Inf\"} 4.0\n"
            "x_count{a=\"b\"} 4.0\n"
            "x_sum{a=\"b\"} 3.65\n");
}

TEST(EngineMetrics, CarriesTheNamesThatRoutersRead) {
  engine::EngineStats stats;
  stats.running = 3;
  stats.waiting = 2;
  stats.kv_used = 0.25;
  stats.prefix_query_tokens = 100;
  stats.prefix_hit_tokens = 64;
  stats.prompt_tokens = 90;
  stats.generation_tokens = 12;
  EngineMetrics metrics;
  metrics.finished[static_cast<std::size_t>(FinishReason::kAbort)] = 5;
  metrics.time_to_first_token.observe(0.03);
  const std::string page = metrics_page(metrics, stats, *engine::find_profile("h100-8b"), "m");
  for (const auto* line :
       {"vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 3.0\n",
        "vllm:num_requests_waiting{engine=\"0\",model_name=\"m\"} 2.0\n",
        "vllm:num_requests_waiting_by_reason{engine=\"0\",model_name=\"m\",reason=\"capacity\"} "
        "2.0\n",
        "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"m\"} 0.25\n",
        "vllm:prefix_cache_queries_total{engine=\"0\",model_name=\"m\"} 100.0\n",
        "vllm:prefix_cache_hits_total{engine=\"0\",model_name=\"m\"} 64.0\n",
        "vllm:prompt_tokens_total{engine=\"0\",model_name=\"m\"} 90.0\n",
        "vllm:generation_tokens_total{engine=\"0\",model_name=\"m\"} 12.0\n",
        "vllm:request_success_total{engine=\"0\",model_name=\"m\",finished_reason=\"abort\"} 5.0\n",
        "vllm:time_to_first_token_seconds_bucket{engine=\"0\",model_name=\"m\",le=\"0.04\"} 1.0\n",
        "vllm:time_to_first_token_seconds_count{engine=\"0\",model_name=\"m\"} 1.0\n",
        "# TYPE vllm:inter_token_latency_seconds histogram\n", "num_gpu_blocks=\"25000\""}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
}

}  // namespace
}  // namespace infermesh::lab
