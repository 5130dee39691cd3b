#include <gtest/gtest.h>

#include <string>

#include "wire/engine/adapter.h"
#include "wire/engine/testdata/fixture.h"

namespace infermesh::engines {
namespace {

constexpr Instant kNow = Instant(5s);

LoadReading load_of(const Adapter& adapter, std::string_view path, std::string_view body) {
  const auto reading = adapter.read_load(path, body, kNow);
  EXPECT_TRUE(reading.has_value()) << (reading ? "" : reading.error().detail);
  return reading.value_or(LoadReading{});
}

TEST(Vllm, ReadsLoadOfABusyEngine) {
  const Fixture page("vllm/metrics-load-waiting.http");
  const auto reading = load_of(kVllmAdapter, "/metrics", page.body());
  EXPECT_EQ(reading.report.running, 4u);
  EXPECT_EQ(reading.report.waiting, 4u);
  EXPECT_DOUBLE_EQ(reading.report.kv_used.value(), 0.3943661971830986);
  EXPECT_EQ(reading.report.prefix_query_tokens, 175u);
  EXPECT_EQ(reading.report.prefix_hit_tokens, 64u);
  EXPECT_EQ(reading.report.prompt_tokens, 175u);
  EXPECT_EQ(reading.report.generation_tokens, 817u);
  EXPECT_EQ(reading.report.read_at, kNow);
  EXPECT_EQ(reading.work_done, 175u + 817u);
  EXPECT_DOUBLE_EQ(reading.started_at.value(), 1.79550127549e9);
  EXPECT_FALSE(reading.report.waiting_prompt_tokens);
}

TEST(Vllm, ReadsCacheSizeFromItsInfoMetric) {
  const Fixture page("vllm/metrics-idle.http");
  const auto reading = load_of(kVllmAdapter, "/metrics", page.body());
  EXPECT_EQ(reading.report.kv_tokens_total, Tokens(104832));
  EXPECT_EQ(reading.report.running, 0u);
  EXPECT_EQ(reading.report.waiting, 0u);
  const auto older =
      load_of(kVllmAdapter, "/metrics",
              "vllm:num_requests_running "
              "0\nvllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"10\"} 1\n");
  EXPECT_EQ(older.report.kv_tokens_total, Tokens(160));
}

TEST(Vllm, ReadsOlderNames) {
  const auto reading = load_of(kVllmAdapter, "/metrics",
                               "vllm:num_requests_running{model_name=\"m\"} 2\n"
                               "vllm:num_requests_waiting{model_name=\"m\"} 3\n"
                               "vllm:gpu_cache_usage_perc{model_name=\"m\"} 0.5\n"
                               "vllm:gpu_prefix_cache_queries_total{model_name=\"m\"} 10\n"
                               "vllm:gpu_prefix_cache_hits_total{model_name=\"m\"} 4\n");
  EXPECT_EQ(reading.report.waiting, 3u);
  EXPECT_EQ(reading.report.kv_used, 0.5);
  EXPECT_EQ(reading.report.prefix_query_tokens, 10u);
  EXPECT_EQ(reading.report.prefix_hit_tokens, 4u);
}

TEST(Vllm, PrefersPresentNamesOverOlderOnes) {
  const auto reading = load_of(kVllmAdapter, "/metrics",
                               "vllm:num_requests_running 2\n"
                               "vllm:gpu_cache_usage_perc 0.9\nvllm:kv_cache_usage_perc 0.1\n");
  EXPECT_EQ(reading.report.kv_used, 0.1);
}

TEST(Vllm, AddsCountsAndTakesTheLargestFractionOverRanks) {
  const auto reading = load_of(kVllmAdapter, "/metrics",
                               "vllm_num_requests_running{engine=\"0\"} 2\n"
                               "vllm_num_requests_running{engine=\"1\"} 5\n"
                               "vllm_num_requests_waiting{engine=\"0\"} 1\n"
                               "vllm_num_requests_waiting{engine=\"1\"} 1\n"
                               "vllm_kv_cache_usage_perc{engine=\"0\"} 0.75\n"
                               "vllm_kv_cache_usage_perc{engine=\"1\"} 0.25\n");
  EXPECT_EQ(reading.report.running, 7u);
  EXPECT_EQ(reading.report.waiting, 2u);
  EXPECT_EQ(reading.report.kv_used, 0.75);
}

TEST(Vllm, CountsOnlyWaitingForCapacity) {
  const auto reading = load_of(kVllmAdapter, "/metrics",
                               "vllm:num_requests_running 2\nvllm:num_requests_waiting 9\n"
                               "vllm:num_requests_waiting_by_reason{reason=\"capacity\"} 1\n"
                               "vllm:num_requests_waiting_by_reason{reason=\"deferred\"} 8\n");
  EXPECT_EQ(reading.report.waiting, 1u);
}

TEST(Vllm, RefusesAPageWithoutItsMetrics) {
  EXPECT_FALSE(kVllmAdapter.read_load("/metrics", "process_start_time_seconds 1\n", kNow));
  EXPECT_FALSE(kVllmAdapter.read_load("/metrics", "<html>", kNow));
}

TEST(Vllm, LeavesOutValuesThatAreNoMeasure) {
  const auto reading = load_of(kVllmAdapter, "/metrics",
                               "vllm:num_requests_running 1e30\nvllm:num_requests_running 2\n"
                               "vllm:num_requests_waiting NaN\n"
                               "vllm:kv_cache_usage_perc +Inf\nvllm:prompt_tokens_total -4\n");
  EXPECT_EQ(reading.report.running, 2u);
  EXPECT_FALSE(reading.report.waiting);
  EXPECT_FALSE(reading.report.kv_used);
  EXPECT_FALSE(reading.report.prompt_tokens);
}

TEST(Vllm, ListsModelsWithAdaptersAndContext) {
  const Fixture page("vllm/models-with-lora.http");
  const auto models = kVllmAdapter.read_models(page.body());
  ASSERT_TRUE(models);
  ASSERT_EQ(models->size(), 2u);
  EXPECT_EQ((*models)[0].name, "tiny-llama");
  EXPECT_EQ((*models)[0].parent, "");
  EXPECT_EQ((*models)[0].context_max, Tokens(2048));
  EXPECT_EQ((*models)[1].name, "tiny-lora");
  EXPECT_EQ((*models)[1].parent, "tiny-llama");
  EXPECT_FALSE((*models)[1].context_max);
}

TEST(Vllm, ReadsVersionAndHealth) {
  const Fixture version("vllm/version.http");
  EXPECT_EQ(kVllmAdapter.read_identity(version.body())->version, "0.32.0");
  const Fixture health("vllm/health.http");
  EXPECT_EQ(kVllmAdapter.read_health(health.answer()).health, Health::kReady);
  EXPECT_EQ(kVllmAdapter.read_health({.status = 503}).health, Health::kFailing);
  EXPECT_EQ(kVllmAdapter.read_health({.status = 0}).reason, "it does not answer");
}

TEST(Sglang, ReadsLoadsOfABusyEngine) {
  const Fixture page("sglang/v1-loads-busy.http");
  const auto reading = load_of(kSglangAdapter, "/v1/loads", page.body());
  EXPECT_EQ(reading.report.running, 4u);
  EXPECT_EQ(reading.report.waiting, 4u);
  EXPECT_EQ(reading.report.waiting_prompt_tokens, Tokens(188));
  EXPECT_EQ(reading.report.kv_used, 0.25);
  EXPECT_EQ(reading.report.kv_tokens_total, Tokens(2048));
  EXPECT_EQ(reading.concurrency_max, 4u);
  EXPECT_EQ(reading.work_done, 300u);
  EXPECT_FALSE(reading.report.prompt_tokens);
}

TEST(Sglang, AddsLoadsOverRanks) {
  const auto reading = load_of(kSglangAdapter, "/v1/loads",
                               R"({"loads":[{"dp_rank":0,"num_running_reqs":1,"token_usage":0.5,
              "max_running_requests":8},{"dp_rank":1,"num_running_reqs":2,"token_usage":0.75,
              "max_running_requests":8}]})");
  EXPECT_EQ(reading.report.running, 3u);
  EXPECT_FALSE(reading.report.waiting);
  EXPECT_EQ(reading.report.kv_used, 0.75);
  EXPECT_EQ(reading.concurrency_max, 16u);
}

TEST(Sglang, RefusesLoadsWithoutEntries) {
  EXPECT_FALSE(kSglangAdapter.read_load("/v1/loads", R"({"loads":[]})", kNow));
  EXPECT_FALSE(kSglangAdapter.read_load("/v1/loads", R"({"detail":"Not Found"})", kNow));
  EXPECT_FALSE(kSglangAdapter.read_load("/v1/loads", "", kNow));
}

TEST(Sglang, ReadsMetricsPage) {
  const Fixture page("sglang/metrics-load.http");
  const auto reading = load_of(kSglangAdapter, "/metrics", page.body());
  EXPECT_EQ(reading.report.running, 4u);
  EXPECT_EQ(reading.report.waiting, 4u);
  EXPECT_EQ(reading.report.kv_used, 0.25);
  EXPECT_EQ(reading.report.kv_tokens_total, Tokens(2048));
  const Fixture after("sglang/metrics-after.http");
  const auto later = load_of(kSglangAdapter, "/metrics", after.body());
  EXPECT_EQ(later.report.prompt_tokens, 308u);
  EXPECT_EQ(later.report.generation_tokens, 540u);
  EXPECT_EQ(later.report.prefix_hit_tokens, 244u);
}

TEST(Sglang, AddsDataParallelRanksButNotTensorParallelOnes) {
  const auto reading = load_of(kSglangAdapter, "/metrics",
                               "sglang:num_running_reqs{dp_rank=\"0\",tp_rank=\"0\"} 3\n"
                               "sglang:num_running_reqs{dp_rank=\"0\",tp_rank=\"1\"} 3\n"
                               "sglang:num_running_reqs{dp_rank=\"1\",tp_rank=\"2\"} 4\n"
                               "sglang:num_running_reqs{dp_rank=\"1\",tp_rank=\"3\"} 4\n");
  EXPECT_EQ(reading.report.running, 7u);
}

TEST(Sglang, ASampleThatIsNoCountDoesNotTakeTheOthersAlong) {
  const auto reading = load_of(kSglangAdapter, "/metrics",
                               "sglang:num_running_reqs 1e96\nsglang:num_running_reqs 1\n"
                               "sglang:num_running_reqs{dp_rank=\"1\"} 2\n");
  EXPECT_EQ(reading.report.running, 3u);
}

TEST(Sglang, ReadsIdentityModelsAndHealth) {
  const Fixture info("sglang/server_info.http");
  const auto identity = kSglangAdapter.read_identity(info.body());
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->version, "0.5.23");
  EXPECT_EQ(identity->concurrency_max, 2048u);
  const Fixture list("sglang/models.http");
  const auto models = kSglangAdapter.read_models(list.body());
  ASSERT_TRUE(models);
  ASSERT_EQ(models->size(), 1u);
  EXPECT_EQ(models->front().context_max, Tokens(8192));
  const Fixture health("sglang/health.http");
  EXPECT_EQ(kSglangAdapter.read_health(health.answer()).health, Health::kReady);
  EXPECT_EQ(kSglangAdapter.read_health({.status = 503}).health, Health::kLoading);
}

TEST(Llamacpp, ReadsMetricsOfABusyServer) {
  const Fixture page("llama.cpp/metrics-load.http");
  const auto reading = load_of(kLlamacppAdapter, "/metrics", page.body());
  EXPECT_EQ(reading.report.running, 4u);
  EXPECT_EQ(reading.report.waiting, 4u);
  EXPECT_EQ(reading.report.prompt_tokens, 156u + 557u);
  EXPECT_EQ(reading.report.prefix_query_tokens, 156u + 557u);
  EXPECT_EQ(reading.report.prefix_hit_tokens, 557u);
  EXPECT_EQ(reading.report.generation_tokens, 14425u);
  EXPECT_FALSE(reading.report.kv_used);
}

TEST(Llamacpp, FallsBackToSlots) {
  const Fixture busy("llama.cpp/slots-load.http");
  const auto reading = load_of(kLlamacppAdapter, "/slots", busy.body());
  EXPECT_EQ(reading.report.running, 4u);
  EXPECT_FALSE(reading.report.waiting) << "slots do not tell who waits";
  EXPECT_EQ(reading.report.kv_tokens_total, Tokens(8192));
  EXPECT_NEAR(reading.report.kv_used.value(), 4 * 213.0 / 8192, 1e-9);
  EXPECT_EQ(reading.concurrency_max, 4u);
  const Fixture idle("llama.cpp/slots-idle.http");
  EXPECT_EQ(load_of(kLlamacppAdapter, "/slots", idle.body()).report.running, 0u);
}

TEST(Llamacpp, ReadsPropsAndModels) {
  const Fixture props("llama.cpp/props.http");
  const auto identity = kLlamacppAdapter.read_identity(props.body());
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->version, "b0-unknown");
  EXPECT_EQ(identity->concurrency_max, 4u);
  const Fixture list("llama.cpp/models.http");
  const auto models = kLlamacppAdapter.read_models(list.body());
  ASSERT_TRUE(models);
  ASSERT_EQ(models->size(), 1u) << "an alias equal to the id is one model";
  EXPECT_EQ(models->front().name, "tiny-llama");
  EXPECT_EQ(models->front().context_max, Tokens(2048))
      << "what it was started with, not trained with";
}

TEST(Llamacpp, TellsLoadingFromFailing) {
  const Answer loading{.status = 503, .body = R"({"error":{"message":"Loading model"}})"};
  EXPECT_EQ(kLlamacppAdapter.read_health(loading).health, Health::kLoading);
  const Fixture full("llama.cpp/slots-fail_on_no_slot.http");
  EXPECT_EQ(kLlamacppAdapter.read_health(full.answer()).health, Health::kFailing);
  const Fixture health("llama.cpp/health.http");
  EXPECT_EQ(kLlamacppAdapter.read_health(health.answer()).health, Health::kReady);
}

TEST(Openai, IsHealthyWhileItListsModels) {
  EXPECT_EQ(kOpenaiAdapter.health.path, "/v1/models");
  EXPECT_EQ(kOpenaiAdapter.read_health({.status = 200}).health, Health::kReady);
  const auto refused = kOpenaiAdapter.read_health({.status = 401});
  EXPECT_EQ(refused.health, Health::kFailing);
  EXPECT_NE(refused.reason.find("api_key_env"), std::string::npos);
  EXPECT_FALSE(kOpenaiAdapter.read_load("", "", kNow));
}

TEST(ModelList, TakesAliasesOnceAndSkipsNamelessEntries) {
  const auto models = read_model_list(
      R"({"data":[{"id":"a","aliases":["a","b",7]},{"id":""},{"object":"x"},3,{"id":"a"},
          {"id":"c","max_model_len":0}]})");
  ASSERT_TRUE(models);
  ASSERT_EQ(models->size(), 3u);
  EXPECT_EQ((*models)[1].name, "b");
  EXPECT_EQ((*models)[2].name, "c");
  EXPECT_FALSE((*models)[2].context_max);
}

TEST(ModelList, RefusesWhatIsNoList) {
  EXPECT_FALSE(read_model_list("[]"));
  EXPECT_FALSE(read_model_list(R"({"data":{}})"));
  EXPECT_FALSE(read_model_list("<html>"));
  EXPECT_FALSE(read_model_list(std::string(std::size_t{5} << 20, ' ')));
  EXPECT_FALSE(read_model_list(std::string(100, '[') + std::string(100, ']')));
}

TEST(ModelList, IsBounded) {
  std::string list = R"({"data":[{"id":"m"})";
  for (std::size_t i = 0; i < kServedModelsMax + 10; ++i) {
    list += ",{\"id\":\"m" + std::to_string(i) + "\"}";
  }
  EXPECT_EQ(read_model_list(list + "]}")->size(), kServedModelsMax);
}

TEST(Adapters, AreFoundByRuntime) {
  for (std::size_t i = 0; i < kRuntimes; ++i) {
    const auto runtime = static_cast<Runtime>(i);
    if (runtime == Runtime::kDescribed) continue;
    EXPECT_EQ(adapter_of(runtime).runtime, runtime);
    EXPECT_FALSE(adapter_of(runtime).health.path.empty());
  }
}

}  // namespace
}  // namespace infermesh::engines
