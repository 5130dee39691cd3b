// The adapters made of descriptions, on captured pages and on such as are written from documented
// forms (test/fixtures/engines says which are which).
#include <gtest/gtest.h>

#include "wire/engine/described.h"
#include "wire/engine/testdata/fixture.h"

namespace infermesh::engines {
namespace {

constexpr Instant kNow = Instant(5s);

LoadReading load_of(const Adapter& adapter, std::string_view fixture) {
  const Fixture page(fixture);
  const auto reading = adapter.read_load(adapter.load[0].path, page.body(), kNow);
  EXPECT_TRUE(reading.has_value()) << (reading ? "" : reading.error().detail);
  return reading.value_or(LoadReading{});
}

std::vector<std::string> names_of(const Adapter& adapter, std::string_view fixture) {
  const Fixture page(fixture);
  const auto models = adapter.read_models(page.body());
  EXPECT_TRUE(models.has_value()) << (models ? "" : models.error().detail);
  std::vector<std::string> names;
  if (models) {
    for (const ServedModel& model : *models) names.push_back(model.name);
  }
  return names;
}

HealthVerdict health_of(const Adapter& adapter, std::string_view fixture) {
  const Fixture page(fixture);
  return adapter.read_health(page.answer());
}

std::string version_of(const Adapter& adapter, std::string_view fixture) {
  const Fixture page(fixture);
  const auto identity = adapter.read_identity(page.body());
  EXPECT_TRUE(identity);
  return identity ? identity->version : "";
}

using Names = std::vector<std::string>;

TEST(Triton, TellsReadinessModelsAndVersion) {
  EXPECT_EQ(health_of(kTritonAdapter, "triton/health-ready.http").health, Health::kReady);
  const auto not_ready = kTritonAdapter.read_health({.status = 400});
  EXPECT_EQ(not_ready.health, Health::kLoading);
  EXPECT_EQ(not_ready.reason, "its models are not all ready (/v2/health/ready answers 400)");
  EXPECT_EQ(kTritonAdapter.read_health({.status = 404}).health, Health::kFailing);
  EXPECT_EQ(kTritonAdapter.read_health({.status = 0}).health, Health::kFailing);
  EXPECT_EQ(names_of(kTritonAdapter, "triton/repository-index.http"), Names{"tiny"});
  EXPECT_EQ(kTritonAdapter.models.post, R"({"ready":true})");
  EXPECT_EQ(version_of(kTritonAdapter, "triton/v2.http"), "2.51.0");
}

TEST(Triton, LeavesOutModelsThatAreNotReadyAndFurtherVersions) {
  const auto models = kTritonAdapter.read_models(
      R"([{"name":"a","version":"1","state":"READY"},{"name":"a","version":"2","state":"READY"},
          {"name":"b","state":"LOADING"},{"name":"c"},{"name":"d","state":"UNAVAILABLE"}])");
  ASSERT_TRUE(models);
  ASSERT_EQ(models->size(), 2u);
  EXPECT_EQ((*models)[0].name, "a");
  EXPECT_EQ((*models)[1].name, "c") << "a server that keeps no state";
  EXPECT_FALSE(kTritonAdapter.read_models(R"({"error":"x"})"));
}

TEST(Triton, ReadsWhatWaitsAndDoesNotInventWhatRuns) {
  const auto reading = load_of(kTritonAdapter, "triton/metrics-load-pending.http");
  EXPECT_EQ(reading.report.waiting, 4u);
  EXPECT_FALSE(reading.report.running);
  EXPECT_FALSE(reading.report.kv_used);
  EXPECT_FALSE(reading.concurrency_max);
  EXPECT_EQ(reading.work_done, 332u);
  EXPECT_EQ(load_of(kTritonAdapter, "triton/metrics-idle.http").report.waiting, 0u);
  EXPECT_EQ(kTritonAdapter.load[0].port, Port::kMetrics);
  EXPECT_EQ(kTritonAdapter.ports.metrics, 8002);
}

TEST(Triton, PrefersTheFiguresOfItsLanguageModelBackend) {
  const auto reading = load_of(kTritonAdapter, "triton/documented-metrics-tensorrt-llm.http");
  EXPECT_EQ(reading.report.running, 9u);
  EXPECT_EQ(reading.report.waiting, 3u);
  EXPECT_EQ(reading.report.kv_used, 0.25);
  EXPECT_EQ(reading.report.kv_tokens_total, Tokens(400 * 64));
  EXPECT_EQ(reading.concurrency_max, 64u);
}

TEST(Mlserver, IsReadOnItsTwoPorts) {
  EXPECT_EQ(health_of(kMlserverAdapter, "mlserver/health-ready.http").health, Health::kReady);
  EXPECT_EQ(names_of(kMlserverAdapter, "mlserver/repository-index.http"), Names{"tiny"});
  EXPECT_EQ(version_of(kMlserverAdapter, "mlserver/v2.http"), "1.7.1");
  const auto reading = load_of(kMlserverAdapter, "mlserver/metrics-load.http");
  EXPECT_EQ(reading.report.running, 0u) << "only what is asked by POST counts";
  EXPECT_FALSE(reading.report.waiting);
  EXPECT_EQ(reading.work_done, 47u);
  EXPECT_DOUBLE_EQ(reading.started_at.value(), 1.79550082802e9);
  const auto busy = kMlserverAdapter.read_load(
      "/metrics",
      "rest_server_requests_in_progress{app_name=\"mlserver\",method=\"GET\"} 1.0\n"
      "rest_server_requests_in_progress{app_name=\"mlserver\",method=\"POST\"} 3.0\n",
      kNow);
  ASSERT_TRUE(busy);
  EXPECT_EQ(busy->report.running, 3u);
}

TEST(Openvino, TellsAvailableModelsAndAddsRequestsAndGraphs) {
  EXPECT_EQ(names_of(kOpenvinoAdapter, "openvino/config.http"), (Names{"tiny-lm", "resnet"}));
  EXPECT_EQ(version_of(kOpenvinoAdapter, "openvino/v2.http"), "2026.3.0");
  const auto reading = load_of(kOpenvinoAdapter, "openvino/metrics.http");
  EXPECT_EQ(reading.report.running, 5u);
  EXPECT_FALSE(reading.report.waiting);
  const auto graphs = kOpenvinoAdapter.read_load("/metrics", "ovms_current_graphs 3\n", kNow);
  ASSERT_TRUE(graphs);
  EXPECT_EQ(graphs->report.running, 3u);
  EXPECT_FALSE(kOpenvinoAdapter.read_models("[]"));
}

TEST(Tgi, IsReadFromItsInfoAndMetrics) {
  EXPECT_EQ(kTgiAdapter.read_health({.status = 200}).health, Health::kReady);
  EXPECT_EQ(health_of(kTgiAdapter, "tgi/unhealthy.http").health, Health::kFailing);
  const Fixture info("tgi/info.http");
  const auto models = kTgiAdapter.read_models(info.body());
  ASSERT_TRUE(models);
  EXPECT_EQ(*models, (std::vector<ServedModel>{{"tiny-lm", "", Tokens(2048)}}));
  const auto identity = kTgiAdapter.read_identity(info.body());
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->version, "3.3.7");
  EXPECT_EQ(identity->concurrency_max, 128u);
  EXPECT_FALSE(kTgiAdapter.read_models("{}"));
  const auto reading = load_of(kTgiAdapter, "tgi/metrics.http");
  EXPECT_EQ(reading.report.running, 3u);
  EXPECT_EQ(reading.report.waiting, 2u);
  EXPECT_EQ(reading.report.kv_used, 0.25);
  EXPECT_EQ(reading.report.kv_tokens_total, Tokens(16000));
  EXPECT_EQ(reading.work_done, 2400u);
}

TEST(Ollama, ServesWhatItHasUnderShortNamesToo) {
  EXPECT_EQ(names_of(kOllamaAdapter, "ollama/tags.http"),
            (Names{"tiny:latest", "tiny", "embed:33m"}));
  EXPECT_EQ(version_of(kOllamaAdapter, "ollama/version.http"), "0.33.0");
  EXPECT_EQ(health_of(kOllamaAdapter, "ollama/version.http").health, Health::kReady);
  EXPECT_TRUE(kOllamaAdapter.load[0].path.empty()) << "it tells no load";
  EXPECT_FALSE(kOllamaAdapter.read_models("{}"));
}

TEST(Infinity, TellsItsQueueInItsModelList) {
  EXPECT_EQ(health_of(kInfinityAdapter, "infinity/health.http").health, Health::kReady);
  EXPECT_EQ(names_of(kInfinityAdapter, "infinity/models.http"), Names{"minilm"});
  const auto reading = load_of(kInfinityAdapter, "infinity/models-load.http");
  EXPECT_EQ(reading.report.waiting, 0u);
  EXPECT_FALSE(reading.report.running);
  EXPECT_EQ(kInfinityAdapter.load[0].port, Port::kMain);
}

TEST(TensorflowServing, IsReadyWhenAModelIsAvailable) {
  const Adapter& adapter = kTensorflowServingAdapter;
  EXPECT_EQ(health_of(adapter, "tensorflow_serving/model.http").health, Health::kReady);
  const auto loading = health_of(adapter, "tensorflow_serving/model-loading.http");
  EXPECT_EQ(loading.health, Health::kLoading);
  EXPECT_EQ(loading.reason, "/v1/models/{model} says LOADING");
  const auto ended = health_of(adapter, "tensorflow_serving/model-ended.http");
  EXPECT_EQ(ended.health, Health::kFailing);
  EXPECT_EQ(ended.reason, "/v1/models/{model} says END");
  EXPECT_EQ(health_of(adapter, "tensorflow_serving/model-unknown.http").health, Health::kFailing);
  EXPECT_EQ(adapter.read_health({.status = 200, .body = "{}"}).health, Health::kFailing);
  EXPECT_EQ(path_for(adapter.health, "half plus/two"), "/v1/models/half%20plus%2Ftwo");
}

TEST(Torchserve, IsReadOnItsManagementPort) {
  const Adapter& adapter = kTorchserveAdapter;
  EXPECT_EQ(health_of(adapter, "torchserve/ping.http").health, Health::kReady);
  EXPECT_EQ(adapter.read_health({.status = 200, .body = R"({"status":"Partial Healthy"})"}).health,
            Health::kReady);
  EXPECT_EQ(adapter.read_health({.status = 200, .body = R"({"status":"Unhealthy"})"}).reason,
            "/ping says Unhealthy");
  EXPECT_EQ(names_of(adapter, "torchserve/models.http"), Names{"tiny"});
  EXPECT_EQ(version_of(adapter, "torchserve/api-description.http"), "0.12.0");
  EXPECT_EQ(adapter.models.port, Port::kManagement);
  EXPECT_EQ(path_for(adapter.load[0], "tiny"), "/models/tiny");
  const auto busy = load_of(adapter, "torchserve/model-load.http");
  EXPECT_EQ(busy.report.waiting, 1u);
  EXPECT_FALSE(busy.report.running);
  EXPECT_EQ(busy.concurrency_max, 1u);
  EXPECT_EQ(load_of(adapter, "torchserve/model.http").report.waiting, 0u);
  const auto no_worker = adapter.read_load(
      "", R"([{"batchSize":4,"workers":[{"status":"UNLOADING"}],"jobQueueStatus":{}}])", kNow);
  ASSERT_TRUE(no_worker);
  EXPECT_FALSE(no_worker->report.waiting);
  EXPECT_FALSE(no_worker->concurrency_max);
}

TEST(Readings, AddUpOverModelsAndKeepUnknownUnknown) {
  LoadReading sum;
  LoadReading one;
  one.report.waiting = 2;
  one.report.kv_used = 0.5;
  one.concurrency_max = 4;
  one.report.read_at = kNow;
  add_reading(sum, one);
  one.report.kv_used = 0.25;
  add_reading(sum, one);
  EXPECT_EQ(sum.report.waiting, 4u);
  EXPECT_EQ(sum.report.kv_used, 0.5);
  EXPECT_EQ(sum.concurrency_max, 8u);
  EXPECT_FALSE(sum.report.running);
  EXPECT_EQ(sum.report.read_at, kNow);
}

// A runtime that only a description knows.

RuntimeObject own_server() {
  RuntimeObject object;
  object.name = "own-server";
  object.health_path = "/healthz";
  object.loading_status = 425;
  object.models_path = "/models";
  object.models_name = "/models/*/name";
  object.models_context = "/models/*/context";
  object.identity_path = "/about";
  object.version = "/build/version";
  object.identity_concurrency_max = "/limits/slots";
  object.load_path = "/stats";
  object.running = {"running_requests"};
  return object;
}

LoadReading described_load(const RuntimeObject& object, std::string_view body) {
  const auto reading = described_adapter(object).read_load("", body, kNow);
  EXPECT_TRUE(reading.has_value()) << (reading ? "" : reading.error().detail);
  return reading.value_or(LoadReading{});
}

TEST(Described, TellsHealthByStatus) {
  const Adapter adapter = described_adapter(own_server());
  EXPECT_EQ(adapter.runtime, Runtime::kDescribed);
  EXPECT_EQ(adapter.read_health({.status = 204}).health, Health::kReady);
  EXPECT_EQ(adapter.read_health({.status = 425}).health, Health::kLoading);
  EXPECT_EQ(adapter.read_health({.status = 500}).reason, "its health check answers 500");
}

TEST(Described, TellsHealthByAValueOfThePage) {
  RuntimeObject object = own_server();
  object.health_value = "/workers/*/up";
  object.ready_values = {"true", "1"};
  object.loading_values = {"soon"};
  const Adapter adapter = described_adapter(object);
  const auto told = [&](std::string_view body) {
    return adapter.read_health({.status = 200, .body = body});
  };
  EXPECT_EQ(told(R"({"workers":[{"up":false},{"up":true}]})").health, Health::kReady);
  EXPECT_EQ(told(R"({"workers":{"a":{"up":1}}})").health, Health::kReady);
  EXPECT_EQ(told(R"({"workers":[{"up":"soon"}]})").health, Health::kLoading);
  const auto failing = told(R"({"workers":[{"up":false},{"up":"broken"}]})");
  EXPECT_EQ(failing.health, Health::kFailing);
  EXPECT_EQ(failing.reason, "/healthz says false, broken");
  EXPECT_EQ(told("{}").reason, "/healthz has nothing at /workers/*/up");
  EXPECT_EQ(told("<html>").health, Health::kFailing);
}

TEST(Described, ReadsModelsWhereverTheNamesStand) {
  const auto list =
      described_adapter(own_server())
          .read_models(
              R"({"models":[{"name":"a","context":4096},{"name":"b"},{"name":"a"},{"x":1}]})");
  ASSERT_TRUE(list);
  EXPECT_EQ(*list, (std::vector<ServedModel>{{"a", "", Tokens(4096)}, {"b", "", std::nullopt}}));
  RuntimeObject bare = own_server();
  bare.models_context = "";
  bare.models_name = "/models/*";
  const auto texts = described_adapter(bare).read_models(R"({"models":["tiny","other"]})");
  ASSERT_TRUE(texts);
  EXPECT_EQ(texts->size(), 2u);
  bare.models_name = "/*/name";
  const auto top = described_adapter(bare).read_models(R"([{"name":"tiny"}])");
  ASSERT_TRUE(top);
  EXPECT_EQ(top->front().name, "tiny");
  EXPECT_FALSE(described_adapter(bare).read_models("7"));
  EXPECT_FALSE(described_adapter(own_server()).read_models("{}"));
}

TEST(Described, ReadsVersionAndSlots) {
  const auto identity = described_adapter(own_server())
                            .read_identity(R"({"build":{"version":"4.2"},"limits":{"slots":16}})");
  ASSERT_TRUE(identity);
  EXPECT_EQ(identity->version, "4.2");
  EXPECT_EQ(identity->concurrency_max, 16u);
}

TEST(Described, AddsSeriesAndChoosesThemByLabel) {
  RuntimeObject object = own_server();
  object.running = {R"(requests{state="running"})"};
  object.waiting = {R"(requests{state="waiting", tier="a"})"};
  object.kv_used = {"cache_used_ratio"};
  object.prompt_tokens = {"prompt_tokens_total"};
  const auto reading = described_load(object,
                                      "requests{state=\"running\",tier=\"a\"} 2\n"
                                      "requests{state=\"running\",tier=\"b\"} 3\n"
                                      "requests{state=\"waiting\",tier=\"a\"} 4\n"
                                      "requests{state=\"waiting\",tier=\"b\"} 5\n"
                                      "cache_used_ratio{rank=\"0\"} 0.25\n"
                                      "cache_used_ratio{rank=\"1\"} 0.75\n"
                                      "prompt_tokens_total 100\n");
  EXPECT_EQ(reading.report.running, 5u);
  EXPECT_EQ(reading.report.waiting, 4u);
  EXPECT_EQ(reading.report.kv_used, 0.75) << "the fullest rank";
  EXPECT_EQ(reading.report.prompt_tokens, 100u);
  EXPECT_EQ(reading.work_done, 100u);
}

TEST(Described, TakesTheFirstSourceThatIsTold) {
  RuntimeObject object = own_server();
  object.waiting = {"queue_now", "queue_before / 2", "queue_oldest"};
  EXPECT_EQ(described_load(object, "queue_oldest 7\nqueue_before 8\n").report.waiting, 4u);
  EXPECT_EQ(described_load(object, "queue_now 1\nqueue_before 8\n").report.waiting, 1u);
}

TEST(Described, ReckonsWithTwoFigures) {
  RuntimeObject object = own_server();
  object.kv_used = {"used / all"};
  object.kv_tokens = {"blocks * block_size"};
  const auto reading = described_load(object,
                                      "used{r=\"0\"} 1\nused{r=\"1\"} 2\nall{r=\"0\"} 6\n"
                                      "all{r=\"1\"} 6\nblocks 10\nblock_size 16\n");
  EXPECT_EQ(reading.report.kv_used, 0.25);
  EXPECT_EQ(reading.report.kv_tokens_total, Tokens(160));
  const auto nothing = described_load(object, "used 1\nall 0\nblocks 10\n");
  EXPECT_FALSE(nothing.report.kv_used) << "nothing over nothing is not known";
  EXPECT_FALSE(nothing.report.kv_tokens_total);
}

TEST(Described, ReadsAPageOfJson) {
  RuntimeObject object = own_server();
  object.running = {"/ranks/*/running"};
  object.waiting = {"/queue/0"};
  object.kv_used = {"/ranks/*/kv~1percent / 100"};
  const auto reading = described_load(
      object, R"({"ranks":[{"running":2,"kv/percent":25},{"running":3}],"queue":[7,8]})");
  EXPECT_EQ(reading.report.running, 5u);
  EXPECT_EQ(reading.report.waiting, 7u);
  EXPECT_EQ(reading.report.kv_used, 0.25);
}

TEST(Described, WhatThePageDoesNotTellIsUnknown) {
  RuntimeObject object = own_server();
  object.waiting = {"waiting_requests"};
  const auto reading = described_load(object, "running_requests 3\n");
  EXPECT_FALSE(reading.report.waiting);
  EXPECT_FALSE(reading.report.kv_used);
  EXPECT_FALSE(reading.work_done);
  const auto other = described_adapter(object).read_load("", "something_else 3\n", kNow);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().detail, "the load page has no running_requests");
}

// As docs/guide/engines.md has it.
TEST(Described, ReadsTheCapturedPagesOfAKserveServer) {
  RuntimeObject object;
  object.name = "kserve";
  object.health_path = "/v2/health/ready";
  object.health_value = "/ready";
  object.ready_values = {"true"};
  object.loading_values = {"false"};
  object.models_path = "/v1/models";
  object.models_name = "/models/*";
  object.identity_path = "/v2";
  object.load_path = "/metrics";
  object.started_at = {"process_start_time_seconds"};
  object.work_done = {"request_predict_seconds_count"};
  const Adapter adapter = described_adapter(object);
  EXPECT_EQ(health_of(adapter, "kserve/health-ready.http").health, Health::kReady);
  EXPECT_EQ(names_of(adapter, "kserve/v1-models.http"), Names{"tiny"});
  EXPECT_EQ(version_of(adapter, "kserve/v2.http"), "0.21.0");
  const auto reading = load_of(adapter, "kserve/metrics-load.http");
  EXPECT_FALSE(reading.report.running);
  EXPECT_EQ(reading.work_done, 22u);
  EXPECT_DOUBLE_EQ(reading.started_at.value(), 1.79550099568e9);
}

}  // namespace
}  // namespace infermesh::engines
