#include "wire/engine/detect.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "wire/engine/testdata/fixture.h"

namespace infermesh::engines {
namespace {

// A server as the answers it gives by path; 404 elsewhere.
using Server = std::map<std::string, Answer, std::less<>>;

struct Run {
  Finding finding;
  std::vector<std::string> asked;
};

Run detect(const Server& server) {
  Run run;
  Detection detection;
  while (!detection.decided() && run.asked.size() < 20) {
    const std::string path(detection.next_path());
    run.asked.push_back(path);
    const auto found = server.find(path);
    detection.on_answer(found == server.end() ? Answer{.status = 404} : found->second);
  }
  run.finding = detection.finding();
  EXPECT_TRUE(detection.next_path().empty());
  return run;
}

TEST(Detect, KnowsEachRuntimeByItsModelList) {
  const Fixture vllm("vllm/models.http");
  const Fixture vllm_metrics("vllm/metrics-idle.http");
  const auto a = detect({{"/v1/models", vllm.answer()}, {"/metrics", vllm_metrics.answer()}});
  EXPECT_EQ(a.finding.kind, FindingKind::kEngine);
  EXPECT_EQ(a.finding.runtime, Runtime::kVllm);
  EXPECT_EQ(a.asked.size(), 2u);
  const Fixture sglang("sglang/models.http");
  const auto b = detect({{"/v1/models", sglang.answer()}});
  EXPECT_EQ(b.finding.runtime, Runtime::kSglang) << "its metrics may be switched off";
  const Fixture llamacpp("llama.cpp/models.http");
  const auto c = detect({{"/v1/models", llamacpp.answer()}});
  EXPECT_EQ(c.finding.runtime, Runtime::kLlamacpp);
  EXPECT_EQ(c.finding.product, "llama.cpp");
  EXPECT_EQ(c.asked.size(), 1u);
}

TEST(Detect, GoesOnWhenAKeyIsNeeded) {
  const Fixture refused("vllm/error-401.http");
  const Fixture metrics("vllm/metrics-idle.http");
  const auto run = detect({{"/v1/models", refused.answer()}, {"/metrics", metrics.answer()}});
  EXPECT_EQ(run.finding.kind, FindingKind::kEngine);
  EXPECT_EQ(run.finding.runtime, Runtime::kVllm);
  EXPECT_TRUE(run.finding.key_needed);
  const Fixture llamacpp("llama.cpp/error-401.http");
  EXPECT_EQ(detect({{"/v1/models", llamacpp.answer()}}).finding.runtime, Runtime::kLlamacpp);
  const auto closed = detect({{"/v1/models", {.status = 401}}});
  EXPECT_EQ(closed.finding.kind, FindingKind::kEngine);
  EXPECT_EQ(closed.finding.runtime, Runtime::kOpenai);
}

TEST(Detect, KnowsALoadingLlamacpp) {
  const auto run = detect({{"/v1/models",
                            {.status = 503,
                             .server = "llama.cpp",
                             .body = R"({"error":{"message":"Loading model","code":503}})"}}});
  EXPECT_EQ(run.finding.runtime, Runtime::kLlamacpp);
  EXPECT_TRUE(run.finding.loading);
}

TEST(Detect, TakesARouterThatImitatesVllmForAGateway) {
  const Fixture models("vllm/models.http");
  for (const char* page : {"smg_requests_total 4\n", "# HELP x\nvllm:healthy_pods_total 2\n",
                           "vllm:num_requests_running 1\nvllm_router_requests_total 1\n",
                           "infermesh_requests_total 1\n"}) {
    const auto run =
        detect({{"/v1/models", models.answer()}, {"/metrics", {.status = 200, .body = page}}});
    EXPECT_EQ(run.finding.kind, FindingKind::kGateway) << page;
  }
}

TEST(Detect, KnowsItsOwnKind) {
  EXPECT_EQ(detect({{"/v1/models", {.status = 200, .server = "infermesh"}}}).finding.kind,
            FindingKind::kGateway);
  EXPECT_EQ(detect({{"/v1/models",
                     {.status = 200, .body = R"({"data":[{"id":"m","owned_by":"infermesh"}]})"}}})
                .finding.kind,
            FindingKind::kGateway);
  EXPECT_EQ(
      detect({{"/v1/models", {.status = 200, .via = "1.1 proxy, 1.1 infermesh"}}}).finding.kind,
      FindingKind::kGateway);
}

TEST(Detect, AnEngineBehindAProxyIsAnEngine) {
  const Fixture models("llama.cpp/models.http");
  Answer answer = models.answer();
  answer.via = "1.1 caddy";
  answer.server = "Caddy";
  const auto run = detect({{"/v1/models", answer}});
  EXPECT_EQ(run.finding.kind, FindingKind::kEngine);
  EXPECT_EQ(run.finding.runtime, Runtime::kLlamacpp);
}

TEST(Detect, NamesOtherServersAndTalksOpenaiToThem) {
  const auto product = [](const char* list) {
    const auto run = detect({{"/v1/models", {.status = 200, .body = list}}});
    EXPECT_EQ(run.finding.kind, FindingKind::kEngine);
    EXPECT_EQ(run.finding.runtime, Runtime::kOpenai);
    return run.finding.product;
  };
  EXPECT_EQ(product(R"({"data":[{"id":"llama3","owned_by":"library"}]})"), "openai")
      << "anybody may say so";
  EXPECT_EQ(product(R"({"data":[{"id":"m","owned_by":"m"}]})"), "openai");
  EXPECT_EQ(product(R"({"data":[{"id":"m","owned_by":"Triton Inference Server"}]})"), "triton");
  EXPECT_EQ(product(R"({"data":[{"id":"m","owned_by":"lmdeploy"}]})"), "lmdeploy");
  EXPECT_EQ(product(R"({"data":[{"id":"m","owned_by":"somebody"}]})"), "openai");
  EXPECT_EQ(product(R"({"data":[]})"), "openai");
}

TEST(Detect, FindsServersThatDoNotListModels) {
  const Fixture props("llama.cpp/props.http");
  EXPECT_EQ(detect({{"/props", props.answer()}}).finding.runtime, Runtime::kLlamacpp);
  const Fixture info("sglang/server_info.http");
  EXPECT_EQ(detect({{"/server_info", info.answer()}}).finding.runtime, Runtime::kSglang);
  EXPECT_EQ(detect({{"/", {.status = 200, .body = "\"SGLang is running\""}}}).finding.runtime,
            Runtime::kSglang);
}

TEST(Detect, StopsAtOnceWhenNobodyAnswers) {
  const auto run = detect({{"/v1/models", {.status = 0}}});
  EXPECT_EQ(run.finding.kind, FindingKind::kNothing);
  EXPECT_EQ(run.asked.size(), 1u);
}

TEST(Detect, AsksOnlyReadOnlyPathsAndFewOfThem) {
  const auto run = detect({{"/v1/models", {.status = 200, .body = "<html>a web site</html>"}}});
  EXPECT_EQ(run.finding.kind, FindingKind::kNotEngine);
  EXPECT_EQ(run.asked, (std::vector<std::string>{"/v1/models", "/", "/v2", "/props", "/info",
                                                 "/server_info", "/metrics"}));
}

struct Case {
  Runtime runtime;
  std::map<std::string, const char*> pages;  // fixtures by path
  std::size_t asked;
};

TEST(Detect, KnowsEachServerFromItsPages) {
  const Case cases[] = {
      {Runtime::kTriton, {{"/v1/models", "triton/models-list.http"}, {"/v2", "triton/v2.http"}}, 3},
      {Runtime::kMlserver,
       {{"/v1/models", "mlserver/models-list.http"}, {"/v2", "mlserver/v2.http"}},
       3},
      {Runtime::kOpenvino, {{"/v1/models", "openvino/models.http"}}, 1},
      {Runtime::kOpenvino, {{"/v2", "openvino/v2.http"}}, 3},
      {Runtime::kInfinity, {{"/v1/models", "infinity/models.http"}}, 1},
      {Runtime::kTensorflowServing, {{"/v1/models", "tensorflow_serving/models.http"}}, 1},
      {Runtime::kTorchserve,
       {{"/v1/models", "torchserve/error-404.http"}, {"/ping", "torchserve/ping.http"}},
       2},
      {Runtime::kTgi, {{"/v1/models", "tgi/models.http"}, {"/info", "tgi/info.http"}}, 2},
      {Runtime::kTgi, {{"/info", "tgi/info.http"}}, 5},
      {Runtime::kTgi, {{"/metrics", "tgi/metrics.http"}}, 7},
      {Runtime::kOllama,
       {{"/v1/models", "ollama/models.http"},
        {"/", "ollama/root.http"},
        {"/api/version", "ollama/version.http"}},
       3},
  };
  for (const Case& one : cases) {
    std::vector<std::unique_ptr<Fixture>> fixtures;
    Server server;
    for (const auto& [path, name] : one.pages) {
      server.emplace(path, fixtures.emplace_back(std::make_unique<Fixture>(name))->answer());
    }
    const auto run = detect(server);
    EXPECT_EQ(run.finding.kind, FindingKind::kEngine) << to_string(one.runtime);
    EXPECT_EQ(run.finding.runtime, one.runtime) << to_string(one.runtime);
    EXPECT_EQ(run.finding.product, to_string(one.runtime));
    EXPECT_EQ(run.asked.size(), one.asked) << to_string(one.runtime);
  }
}

TEST(Detect, KnowsATritonThatWasRenamed) {
  const auto run =
      detect({{"/v2", {.status = 200, .body = R"({"name":"edge-7","extensions":["model_repository",
                                         "binary_tensor_data"]})"}}});
  EXPECT_EQ(run.finding.runtime, Runtime::kTriton);
}

TEST(Detect, AServerThatOnlySaysThatItIsOllamaIsNone) {
  const Fixture root("ollama/root.http");
  EXPECT_EQ(detect({{"/", root.answer()}}).finding.kind, FindingKind::kNotEngine);
}

TEST(Detect, AnswersLikeTorchservesAloneDecideNothing) {
  const Fixture refused("torchserve/error-404.http");
  const auto run = detect({{"/v1/models", refused.answer()}});
  EXPECT_EQ(run.finding.kind, FindingKind::kNotEngine);
  EXPECT_EQ(run.asked.size(), 8u) << "the most there are";
}

}  // namespace
}  // namespace infermesh::engines
