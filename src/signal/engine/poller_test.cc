#include "signal/engine/poller.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "port/fake/scripted_server.h"
#include "port/fake/world.h"
#include "wire/engine/testdata/fixture.h"

namespace infermesh::signal {
namespace {

using engines::Fixture;
using port::fake::ScriptedMode;
using port::fake::ScriptedServer;
using port::fake::World;

struct Seen final : PollSink {
  std::vector<std::pair<ProbeOutcome, std::string>> probes;
  std::vector<EngineReport> reports;
  std::vector<EngineFound> facts;
  int restarts = 0;

  void on_probe(const std::string&, ProbeOutcome outcome, const std::string& reason) override {
    probes.emplace_back(outcome, reason);
  }
  void on_load_read(const std::string&, LoadRead) override {}
  void on_report(const std::string&, const EngineReport& report) override {
    reports.push_back(report);
  }
  void on_facts(const std::string&, const EngineFound& found) override { facts.push_back(found); }
  void on_restarted(const std::string&) override { ++restarts; }
};

struct Scene {
  World world;
  ScriptedServer server{world, "127.0.0.1", 8000};
  Seen seen;
  std::unique_ptr<Poller> poller;

  ~Scene() {
    poller.reset();
    world.settle();
  }
  void start(std::optional<Runtime> runtime = {}, std::string key = "") {
    poller = std::make_unique<Poller>(
        world.loop(),
        EngineTarget{"e1", {"127.0.0.1", 8000, "127.0.0.1:8000", std::move(key)}, runtime},
        PollSettings{}, seen);
  }
  void answer(const std::string& path, std::string_view fixture) {
    server.answer(path, std::string(Fixture(fixture).text()));
  }
  void serve_vllm() {
    answer("/v1/models", "vllm/models-with-lora.http");
    answer("/health", "vllm/health.http");
    answer("/version", "vllm/version.http");
    answer("/metrics", "vllm/metrics-idle.http");
  }
};

TEST(Poller, FindsOutWhatAnEngineIsAndReadsIt) {
  Scene scene;
  scene.serve_vllm();
  scene.answer("/metrics", "vllm/metrics-load-waiting.http");
  scene.start();
  scene.world.settle();
  ASSERT_FALSE(scene.seen.facts.empty());
  const EngineFound& found = scene.seen.facts.back();
  EXPECT_EQ(found.runtime, Runtime::kVllm);
  EXPECT_EQ(found.product, "vllm");
  EXPECT_EQ(found.version, "0.32.0");
  ASSERT_TRUE(found.models);
  EXPECT_EQ(found.models->size(), 2u);
  ASSERT_EQ(scene.seen.probes.size(), 1u);
  EXPECT_EQ(scene.seen.probes[0].first, ProbeOutcome::kReady);
  ASSERT_EQ(scene.seen.reports.size(), 1u);
  EXPECT_EQ(scene.seen.reports[0].running, 4u);
  EXPECT_EQ(scene.world.network().connections_made("127.0.0.1:8000"), 1u);
}

TEST(Poller, LooksOftenWhileBusyAndSeldomWhileIdle) {
  Scene scene;
  scene.serve_vllm();
  scene.answer("/metrics", "vllm/metrics-load-waiting.http");
  scene.start();
  scene.world.run_for(2s);
  const std::size_t busy = scene.server.asked("/metrics");
  EXPECT_GE(busy, 15u);
  EXPECT_LE(busy, 26u);
  scene.answer("/metrics", "vllm/metrics-idle.http");
  scene.world.run_for(10s);
  const std::size_t settled = scene.server.asked("/metrics");
  scene.world.run_for(20s);
  EXPECT_LE(scene.server.asked("/metrics") - settled, 13u);
  EXPECT_EQ(scene.world.network().connections_made("127.0.0.1:8000"), 1u);
}

TEST(Poller, ReadsModelsAboutEveryFiveSecondsAndTellsOnlyChanges) {
  Scene scene;
  scene.serve_vllm();
  scene.answer("/v1/models", "vllm/models.http");
  scene.start();
  scene.world.run_for(11s);
  const std::size_t told = scene.seen.facts.size();
  EXPECT_GE(scene.server.asked("/v1/models"), 3u);
  EXPECT_LE(scene.server.asked("/v1/models"), 5u);
  scene.answer("/v1/models", "vllm/models-with-lora.http");
  scene.world.run_for(10s);
  EXPECT_EQ(scene.seen.facts.size(), told + 1);
  EXPECT_EQ(scene.seen.facts.back().models->size(), 2u);
}

TEST(Poller, NudgeLooksAtOnce) {
  Scene scene;
  scene.serve_vllm();
  scene.start();
  scene.world.run_for(20s);
  const std::size_t before = scene.server.asked("/metrics");
  scene.poller->nudge();
  scene.world.settle();
  EXPECT_EQ(scene.server.asked("/metrics"), before + 1);
}

TEST(Poller, TellsLoadingThenReady) {
  Scene scene;
  const std::string loading =
      "HTTP/1.1 503 Service Unavailable\r\nServer: llama.cpp\r\ncontent-length: 63\r\n\r\n"
      R"({"error":{"code":503,"message":"Loading model","type":"unavai"}})";
  scene.server.answer("/v1/models", loading.substr(0, loading.size() - 1));
  scene.server.answer("/health", loading.substr(0, loading.size() - 1));
  scene.start();
  scene.world.run_for(3s);
  ASSERT_FALSE(scene.seen.probes.empty());
  EXPECT_EQ(scene.seen.probes.back().first, ProbeOutcome::kLoading);
  EXPECT_EQ(scene.seen.probes.back().second, "it is loading its model");
  EXPECT_EQ(scene.seen.facts.back().runtime, Runtime::kLlamacpp);
  EXPECT_FALSE(scene.seen.facts.back().models);
  scene.answer("/v1/models", "llama.cpp/models.http");
  scene.answer("/health", "llama.cpp/health.http");
  scene.answer("/props", "llama.cpp/props.http");
  scene.answer("/slots", "llama.cpp/slots-load.http");
  scene.world.run_for(1500ms);
  EXPECT_EQ(scene.seen.probes.back().first, ProbeOutcome::kReady);
  EXPECT_EQ(scene.seen.facts.back().concurrency_max, 4u);
  EXPECT_EQ(scene.seen.facts.back().models->front().name, "tiny-llama");
  EXPECT_EQ(scene.seen.reports.back().running, 4u) << "/slots, as /metrics is off";
}

TEST(Poller, AsksForMetricsThatAreOffOnlyNowAndThen) {
  Scene scene;
  scene.answer("/v1/models", "llama.cpp/models.http");
  scene.answer("/health", "llama.cpp/health.http");
  scene.start(Runtime::kLlamacpp);
  scene.world.run_for(20s);
  EXPECT_LE(scene.server.asked("/metrics"), 6u);
  EXPECT_TRUE(scene.seen.reports.empty());
  EXPECT_EQ(scene.seen.probes.back().first, ProbeOutcome::kReady);
}

TEST(Poller, TwoMissedReadsMakeTheLoadUnknown) {
  Scene scene;
  scene.serve_vllm();
  scene.start(Runtime::kVllm);
  scene.world.run_for(3s);
  ASSERT_TRUE(scene.seen.reports.back().running);
  const std::size_t reports = scene.seen.reports.size();
  scene.server.set_mode(ScriptedMode::kSilent);
  scene.world.run_for(20s);
  ASSERT_EQ(scene.seen.reports.size(), reports + 1);
  EXPECT_FALSE(scene.seen.reports.back().running);
  EXPECT_EQ(scene.seen.probes.back().first, ProbeOutcome::kMissed);
}

TEST(Poller, TellsARefusedEngineAndFindsItAgain) {
  Scene scene;
  scene.serve_vllm();
  scene.start();
  scene.world.run_for(1s);
  scene.server.stop();
  scene.world.run_for(5s);
  EXPECT_EQ(scene.seen.probes.back().first, ProbeOutcome::kRefused);
  EXPECT_EQ(scene.seen.probes.back().second, "127.0.0.1:8000: connection refused");
  const std::size_t refused = scene.seen.probes.size();
  EXPECT_GE(refused, 4u);
  // Another program on the same port.
  scene.answer("/v1/models", "sglang/models.http");
  scene.answer("/health", "sglang/health.http");
  scene.answer("/v1/loads", "sglang/v1-loads.http");
  scene.answer("/server_info", "sglang/server_info.http");
  scene.server.answer("/metrics", 404, "");
  scene.server.start();
  scene.world.run_for(3s);
  EXPECT_EQ(scene.seen.probes.back().first, ProbeOutcome::kReady);
  EXPECT_EQ(scene.seen.facts.back().runtime, Runtime::kSglang);
  EXPECT_EQ(scene.seen.facts.back().version, "0.5.23");
  EXPECT_EQ(scene.seen.facts.back().models->size(), 1u);
}

TEST(Poller, NoticesARestart) {
  Scene scene;
  scene.serve_vllm();
  scene.answer("/metrics", "vllm/metrics-load-waiting.http");
  scene.start(Runtime::kVllm);
  scene.world.run_for(1s);
  EXPECT_EQ(scene.seen.restarts, 0);
  const std::size_t versions = scene.server.asked("/version");
  scene.answer("/v1/models", "vllm/models.http");
  scene.server.answer("/metrics", 200,
                      "vllm:num_requests_running 0\nvllm:prompt_tokens_total 0\n"
                      "process_start_time_seconds 1.8e9\n");
  scene.world.run_for(1s);
  EXPECT_EQ(scene.seen.restarts, 1);
  EXPECT_EQ(scene.server.asked("/version"), versions + 1) << "it may be another version";
  EXPECT_EQ(scene.seen.facts.back().models->size(), 1u) << "with other models";
}

TEST(Poller, SparesABusySglangItsHealthCheck) {
  Scene scene;
  scene.answer("/v1/models", "sglang/models.http");
  scene.answer("/health", "sglang/health.http");
  scene.answer("/server_info", "sglang/server_info.http");
  scene.answer("/v1/loads", "sglang/v1-loads-busy.http");
  scene.start(Runtime::kSglang);
  scene.world.run_for(1s);
  const std::size_t confirmed = scene.server.asked("/health");
  EXPECT_EQ(confirmed, 3u);
  scene.world.run_for(20s);
  EXPECT_EQ(scene.server.asked("/health"), confirmed);
  scene.answer("/v1/loads", "sglang/v1-loads.http");
  scene.world.run_for(20s);
  EXPECT_GE(scene.server.asked("/health") - confirmed, 3u);
  EXPECT_LE(scene.server.asked("/health") - confirmed, 5u);
}

TEST(Poller, SaysThatAKeyIsWantedAndNoticesTheRightOne) {
  Scene scene;
  scene.serve_vllm();
  scene.answer("/v1/models", "vllm/error-401.http");
  scene.start();
  scene.world.run_for(2s);
  EXPECT_EQ(scene.seen.facts.back().runtime, Runtime::kVllm);
  EXPECT_EQ(scene.seen.probes.back().first, ProbeOutcome::kFailing);
  EXPECT_NE(scene.seen.probes.back().second.find("api_key_env"), std::string::npos);
  scene.serve_vllm();
  scene.world.run_for(10s);
  EXPECT_EQ(scene.seen.probes.back().first, ProbeOutcome::kReady);
}

TEST(Poller, FindsARuntimeThatBreaksOnSomePaths) {
  Scene scene;
  scene.serve_vllm();
  scene.answer("/v1/models", "vllm/error-401.http");
  scene.server.answer("/props", "not http\r\n\r\n");
  scene.start();
  scene.world.run_for(1s);
  ASSERT_FALSE(scene.seen.facts.empty());
  EXPECT_EQ(scene.seen.facts.back().runtime, Runtime::kVllm);
}

TEST(Poller, SaysWhenSomethingElseListens) {
  Scene scene;
  scene.server.answer("/", 200, "<html>");
  scene.start();
  scene.world.run_for(1s);
  EXPECT_EQ(scene.seen.probes.back().first, ProbeOutcome::kFailing);
  EXPECT_TRUE(scene.seen.facts.empty());
}

TEST(Poller, CallsNobodyOnceDestroyed) {
  Scene scene;
  scene.serve_vllm();
  scene.world.network().set_latency(5ms);
  scene.start();
  scene.world.run_for(13ms);  // in the middle of a GET
  const std::size_t before = scene.seen.probes.size() + scene.seen.facts.size();
  scene.poller.reset();
  scene.world.run_for(10s);
  EXPECT_EQ(scene.seen.probes.size() + scene.seen.facts.size(), before);
  EXPECT_EQ(scene.world.network().connections_open("127.0.0.1:8000"), 0u);
}

// Engines with several ports, and such as list nothing.

struct Ports {
  World world;
  ScriptedServer main{world, "10.0.0.1", 8000};
  ScriptedServer metrics{world, "10.0.0.1", 8002};
  Seen seen;
  EngineTarget target{"e1", {"10.0.0.1", 8000, "10.0.0.1:8000", ""}, std::nullopt};
  std::unique_ptr<Poller> poller;

  ~Ports() {
    poller.reset();
    world.settle();
  }
  void start() { poller = std::make_unique<Poller>(world.loop(), target, PollSettings{}, seen); }
  void serve_triton() {
    for (const auto& [path, name] :
         {std::pair("/v1/models", "triton/models-list.http"), std::pair("/v2", "triton/v2.http"),
          std::pair("/v2/health/ready", "triton/health-ready.http"),
          std::pair("/v2/repository/index", "triton/repository-index.http")}) {
      main.answer(path, std::string(Fixture(name).text()));
    }
    metrics.answer("/metrics", std::string(Fixture("triton/metrics-load-pending.http").text()));
  }
};

TEST(Poller, ReadsMetricsFromTheirOwnPort) {
  Ports ports;
  ports.serve_triton();
  ports.start();
  ports.world.settle();
  ASSERT_FALSE(ports.seen.facts.empty());
  const EngineFound& found = ports.seen.facts.back();
  EXPECT_EQ(found.runtime, Runtime::kTriton);
  EXPECT_EQ(found.version, "2.51.0");
  ASSERT_TRUE(found.models);
  EXPECT_EQ(found.models->front().name, "tiny");
  ASSERT_FALSE(ports.seen.reports.empty());
  EXPECT_EQ(ports.seen.reports[0].waiting, 4u);
  const auto& asked = ports.main.requests();
  EXPECT_TRUE(std::any_of(asked.begin(), asked.end(), [](const std::string& head) {
    return head.starts_with("POST /v2/repository/index ") &&
           head.find("content-length: 14") != std::string::npos;
  }));
}

TEST(Poller, AMetricsPortThatIsClosedIsNoFailureOfTheEngine) {
  Ports ports;
  ports.serve_triton();
  ports.metrics.stop();
  ports.start();
  ports.world.run_for(20s);
  for (const auto& [outcome, reason] : ports.seen.probes) {
    EXPECT_EQ(outcome, ProbeOutcome::kReady) << reason;
  }
  EXPECT_TRUE(ports.seen.reports.empty());
  ports.metrics.start();
  ports.world.run_for(10s);
  ASSERT_FALSE(ports.seen.reports.empty()) << "it is looked at again";
  EXPECT_EQ(ports.seen.reports.back().waiting, 4u);
}

TEST(Poller, ReadsMetricsWhereTheObjectSays) {
  Ports ports;
  ports.serve_triton();
  ScriptedServer elsewhere(ports.world, "10.0.0.2", 9000);
  elsewhere.answer("/metrics", 200, "nv_inference_pending_request_count 9\n");
  ports.target.runtime = Runtime::kTriton;
  ports.target.metrics = ProbeTarget{"10.0.0.2", 9000, "10.0.0.2:9000", ""};
  ports.start();
  ports.world.settle();
  ASSERT_FALSE(ports.seen.reports.empty());
  EXPECT_EQ(ports.seen.reports[0].waiting, 9u);
  EXPECT_EQ(ports.metrics.asked("/metrics"), 0u);
}

TEST(Poller, AddsUpTheQueuesOfAllModelsOfATorchserve) {
  World world;
  ScriptedServer main(world, "10.0.0.1", 8080);
  ScriptedServer management(world, "10.0.0.1", 8081);
  main.answer("/ping", std::string(Fixture("torchserve/ping.http").text()));
  management.answer("/models?limit=1000", 200,
                    R"({"models":[{"modelName":"tiny"},{"modelName":"other one"}]})");
  management.answer("/models/tiny", std::string(Fixture("torchserve/model-load.http").text()));
  management.answer("/models/other%20one", 200, R"([{"jobQueueStatus":{"pendingRequests":4}}])");
  Seen seen;
  {
    Poller poller(world.loop(),
                  EngineTarget{"e1", {"10.0.0.1", 8080, "10.0.0.1:8080", ""}, Runtime::kTorchserve},
                  PollSettings{}, seen);
    world.run_for(3s);
  }
  world.settle();
  ASSERT_FALSE(seen.reports.empty());
  EXPECT_EQ(seen.reports.back().waiting, 5u);
  ASSERT_TRUE(seen.facts.back().models);
  EXPECT_EQ(seen.facts.back().models->size(), 2u);
}

TEST(Poller, SaysWhatToDoWhenTheManagementPortIsClosed) {
  World world;
  ScriptedServer main(world, "10.0.0.1", 8080);
  main.answer("/ping", std::string(Fixture("torchserve/ping.http").text()));
  Seen seen;
  {
    Poller poller(world.loop(),
                  EngineTarget{"e1", {"10.0.0.1", 8080, "10.0.0.1:8080", ""}, Runtime::kTorchserve},
                  PollSettings{}, seen);
    world.run_for(3s);
  }
  world.settle();
  EXPECT_EQ(seen.probes.back().first, ProbeOutcome::kFailing);
  EXPECT_NE(seen.probes.back().second.find("set management_url, or name its models"),
            std::string::npos)
      << seen.probes.back().second;
}

TEST(Poller, AsksForEachModelThatTheObjectNamesWhereNoneAreListed) {
  World world;
  ScriptedServer server(world, "10.0.0.1", 8501);
  server.answer("/v1/models/a",
                std::string(Fixture("tensorflow_serving/model-loading.http").text()));
  server.answer("/v1/models/b", std::string(Fixture("tensorflow_serving/model.http").text()));
  Seen seen;
  EngineTarget target{"e1", {"10.0.0.1", 8501, "10.0.0.1:8501", ""}, Runtime::kTensorflowServing};
  target.models = {"a", "b", "c"};
  {
    Poller poller(world.loop(), target, PollSettings{}, seen);
    world.run_for(3s);
  }
  EXPECT_EQ(seen.probes.back().first, ProbeOutcome::kReady);
  ASSERT_TRUE(seen.facts.back().models);
  EXPECT_EQ(*seen.facts.back().models, (std::vector<ServedModel>{{"b", "", std::nullopt}}));
  target.models = {};
  const std::size_t before = server.requests().size();
  {
    Poller poller(world.loop(), target, PollSettings{}, seen);
    world.run_for(3s);
  }
  world.settle();
  EXPECT_EQ(seen.probes.back().second,
            "it does not list its models; name them in `models` of its Engine object");
  EXPECT_EQ(server.requests().size(), before);
}

TEST(Poller, ReadsARuntimeThatOnlyADescriptionKnows) {
  Ports ports;
  ports.main.answer("/healthz", 200, "");
  ports.main.answer("/models", 200, R"({"models":["own-model"]})");
  ports.main.answer("/about", 200, R"({"version":"0.9"})");
  ports.metrics.answer("/stats", 200, R"({"busy":2,"queue":5})");
  RuntimeObject& runtime = ports.target.described.emplace();
  ports.target.runtime = Runtime::kDescribed;
  runtime.name = "own-server";
  runtime.health_path = "/healthz";
  runtime.models_path = "/models";
  runtime.models_name = "/models/*";
  runtime.identity_path = "/about";
  runtime.load_path = "/stats";
  runtime.load_port = 8002;
  runtime.running = {"/busy"};
  runtime.waiting = {"/queue"};
  ports.start();
  ports.world.settle();
  ASSERT_FALSE(ports.seen.facts.empty());
  EXPECT_EQ(ports.seen.facts.back().product, "own-server");
  EXPECT_EQ(ports.seen.facts.back().version, "0.9");
  ASSERT_TRUE(ports.seen.facts.back().models);
  EXPECT_EQ(ports.seen.facts.back().models->front().name, "own-model");
  ASSERT_FALSE(ports.seen.reports.empty());
  EXPECT_EQ(ports.seen.reports[0].running, 2u);
  EXPECT_EQ(ports.seen.reports[0].waiting, 5u);
}

}  // namespace
}  // namespace infermesh::signal
