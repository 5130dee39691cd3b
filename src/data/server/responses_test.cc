// The Responses API: its streams, and what one engine keeps. Anthropic's token counting beside it.
#include <gtest/gtest.h>

#include "data/server/testing_mesh.h"

namespace infermesh::data {
namespace {

const std::string kAsk = R"({"model":"m","input":"hi"})";
const std::string kAskStream = R"({"model":"m","stream":true,"input":"hi"})";

std::string response(std::string_view id) {
  return fmt::format(R"({{"id":"{}","object":"response","model":"m","usage":{{"input_tokens":3,)"
                     R"("output_tokens":2}}}})",
                     id);
}
std::string event(std::string_view type, int number, std::string_view members = "") {
  return fmt::format("event: {0}\ndata: {{\"type\":\"{0}\",\"sequence_number\":{1}{2}}}\n\n", type,
                     number, members);
}
std::string bare(std::string_view method, std::string_view path) {
  return fmt::format("{} {} HTTP/1.1\r\nhost: x\r\n\r\n", method, path);
}
std::string going_on(std::string_view id) {
  return fmt::format(R"({{"input":"hi","model":"m","previous_response_id":"{}"}})", id);
}

// Two engines, of which the second has made `resp_1`.
struct KeptMesh : TestMesh {
  KeptMesh() : TestMesh(2) {
    engine(0).answers(json_answer(R"({"id":"resp_0","from":0})"));
    engine(1).answers(json_answer(R"({"id":"resp_1","from":1})"));
    endpoint(0).state = EndpointState::kDraining;
    publish();
    EXPECT_TRUE(ask(post("/v1/responses", kAsk)).has("resp_1"));
    endpoint(0).state = EndpointState::kReady;
    publish();
  }
};

TEST(Responses, APreviousResponseGoesToTheEngineThatMadeIt) {
  KeptMesh mesh;
  EXPECT_TRUE(mesh.ask(post("/v1/responses", kAsk)).has("resp_0")) << "the policy's choice";
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(mesh.ask(post("/v1/responses", going_on("resp_1"))).has("resp_1"));
    EXPECT_TRUE(mesh.ask(post("/v1/responses", going_on("resp_0"))).has("resp_0"));
  }
}

TEST(Responses, APreviousResponseAtTheEndOfALongBodyIsSeen) {
  KeptMesh mesh;
  mesh.settings.prompt_bytes_wanted = 100;
  TestClient client = mesh.connect();
  const std::string request =
      post("/v1/responses", R"({"model":"m","input":")" + std::string(9000, 'x') +
                                R"(","previous_response_id":"resp_1"})");
  client.send(request.substr(0, 8000));
  EXPECT_EQ(mesh.engine(0).asked() + mesh.engine(1).asked(), 1u) << "the rest is waited for";
  client.send(request.substr(8000));
  EXPECT_TRUE(client.answer().has("resp_1"));
}

TEST(Responses, AnUnknownPreviousResponseIsRefused) {
  KeptMesh mesh;
  const TestAnswer answer = mesh.ask(post("/v1/responses", going_on("resp_x")));
  EXPECT_EQ(answer.status, 404);
  EXPECT_TRUE(answer.has(R"("param":"previous_response_id","code":"response_not_found")"))
      << answer.body;
  EXPECT_EQ(mesh.engine(0).asked(), 0u);
}

TEST(Responses, AnEngineThatIsAloneKeepsEverything) {
  TestMesh mesh;
  mesh.engine().answers(json_answer(response("resp_2")));
  EXPECT_EQ(mesh.ask(post("/v1/responses", going_on("resp_x"))).status, 200);
  EXPECT_EQ(mesh.ask(bare("GET", "/v1/responses/resp_x")).status, 200);
  EXPECT_EQ(mesh.ask(post("/v1/responses", R"({"model":"m","conversation":"c"})")).status, 200);
}

TEST(Responses, OtherStateOfOneOfManyEnginesIsRefused) {
  KeptMesh mesh;
  for (const char* member : {R"("conversation":"c1")", R"("prompt":{"id":"p"})"}) {
    const TestAnswer answer =
        mesh.ask(post("/v1/responses", fmt::format(R"({{"model":"m","input":"hi",{}}})", member)));
    EXPECT_EQ(answer.status, 400) << answer.body;
    EXPECT_TRUE(answer.has("which of the 2 engines")) << answer.body;
  }
  const std::string body = R"({"model":"m","input":"hi","background":true,"store":true})";
  EXPECT_EQ(mesh.ask(post("/v1/responses", body)).status, 200) << "makes state, needs none";
}

TEST(Responses, WhenTheEngineThatKeepsItFailsNoOtherIsAsked) {
  KeptMesh mesh;
  mesh.engine(1).answers(json_answer("{}", 503));
  const std::size_t asked = mesh.engine(0).asked();
  EXPECT_EQ(mesh.ask(post("/v1/responses", going_on("resp_1"))).status, 503);
  mesh.endpoint(1).state = EndpointState::kDown;
  mesh.publish();
  EXPECT_EQ(mesh.ask(post("/v1/responses", going_on("resp_1"))).status, 503);
  EXPECT_EQ(mesh.engine(0).asked(), asked);
}

TEST(Responses, KeptOnesAreFetchedCancelledAndDeletedWhereTheyAre) {
  KeptMesh mesh;
  const std::vector<std::pair<std::string, std::string>> calls{
      {"GET", "/v1/responses/resp_1"},
      {"GET", "/v1/responses/resp_1?include=usage"},
      {"GET", "/v1/responses/resp_1/input_items"},
      {"DELETE", "/v1/responses/resp_1"},
      {"POST", "/v1/responses/resp_1/cancel"}};
  for (const auto& [method, path] : calls) {
    const TestAnswer answer = mesh.ask(bare(method, path));
    EXPECT_EQ(answer.status, 200) << path;
    EXPECT_TRUE(answer.has(R"("from":1)")) << path;
    EXPECT_TRUE(mesh.engine(1).requests.back().head.starts_with(
        fmt::format("{} {} HTTP/1.1\r\n", method, path)))
        << mesh.engine(1).requests.back().head;
  }
  EXPECT_TRUE(mesh.ask(bare("GET", "/responses/resp_1")).has(R"("from":1)"));
  EXPECT_TRUE(mesh.ask(bare("POST", "/openai/v1/responses/resp_1/cancel")).has(R"("from":1)"));
  EXPECT_EQ(mesh.engine(0).asked(), 0u);
  EXPECT_TRUE(
      mesh.counted(R"(infermesh_requests_total{model="m",api="stored_response",code="200"} 7)"))
      << mesh.metrics_text();
}

TEST(Responses, WhatNobodyKeepsIsNotFound) {
  KeptMesh mesh;
  for (const auto& [method, path] : std::vector<std::pair<std::string, std::string>>{
           {"GET", "/v1/responses/resp_x"},
           {"DELETE", "/v1/responses/resp_x"},
           {"POST", "/v1/responses/resp_x/cancel"},
           {"GET", "/v1/responses/resp_x/input_items"}}) {
    const TestAnswer answer = mesh.ask(bare(method, path));
    EXPECT_EQ(answer.status, 404) << path;
    EXPECT_TRUE(answer.has(R"("code":"response_not_found")")) << answer.body;
    EXPECT_TRUE(answer.has("No engine is known to keep the response 'resp_x'")) << answer.body;
  }
  EXPECT_EQ(mesh.ask(bare("PUT", "/v1/responses/resp_1")).header("allow"), "GET, DELETE");
  EXPECT_EQ(mesh.ask(bare("GET", "/v1/responses/a%2Fb")).status, 404);
}

TEST(Responses, AFetchedOneIsNotCountedAgain) {
  TestMesh mesh;
  mesh.engine().answers(json_answer(response("resp_1")));
  mesh.ask(post("/v1/responses", kAsk));
  mesh.ask(bare("GET", "/v1/responses/resp_1"));
  EXPECT_TRUE(mesh.counted(R"(infermesh_tokens_total{model="m",kind="output"} 2)"))
      << mesh.metrics_text();
}

TEST(Responses, TheMakerOfAStreamIsKnownFromItsFirstEventOn) {
  KeptMesh mesh;
  mesh.engine(1).plays([](TestWire& wire) -> port::Task<void> {
    if (wire.head.starts_with("POST /v1/responses HTTP")) {
      co_await wire.write(kSseHead +
                          chunk(event("response.created", 0, R"(,"response":{"id":"resp_s"})")));
      co_await wire.until_gone();
    } else {
      co_await wire.write(json_answer(R"({"id":"resp_s","status":"cancelled"})"));
    }
  });
  mesh.endpoint(0).state = EndpointState::kDraining;
  mesh.publish();
  TestClient client = mesh.connect();
  client.send(post("/v1/responses", kAskStream));
  mesh.world.run_for(1s);
  mesh.endpoint(0).state = EndpointState::kReady;
  mesh.publish();
  EXPECT_TRUE(mesh.ask(bare("POST", "/v1/responses/resp_s/cancel")).has("cancelled"));
  client.leave();
}

TEST(Responses, AFailedStreamIsWholeForTheClientAndAFailureOfTheEngine) {
  TestMesh mesh;
  const std::string failed =
      event("response.failed", 1, R"(,"response":{"id":"resp_1","error":{"code":"server_error"}})");
  mesh.engine().answers(sse_answer({event("response.created", 0), failed}));
  const TestAnswer answer = mesh.ask(post("/v1/responses", kAskStream));
  EXPECT_EQ(answer.body, event("response.created", 0) + failed);
  EXPECT_TRUE(answer.whole);
  ASSERT_EQ(mesh.outcomes.size(), 1u);
  EXPECT_EQ(mesh.outcomes[0].kind, OutcomeKind::kEngineError);
  EXPECT_EQ(mesh.shard.decisions.recent(1)[0]->error_code, "upstream_error");
}

TEST(Responses, AStreamThatIsLeftCostsWhatItHasShown) {
  TestMesh mesh;
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.write(kSseHead +
                        chunk(event("response.output_text.delta", 0, R"(,"delta":"a")") +
                              event("response.output_text.delta", 1, R"(,"delta":"b")")));
    co_await wire.until_gone();
  });
  TestClient client = mesh.connect();
  client.send(post("/v1/responses", kAskStream));
  mesh.world.run_for(1s);
  client.leave();
  mesh.world.settle();
  EXPECT_TRUE(mesh.counted(R"(infermesh_tokens_total{model="m",kind="output"} 2)"))
      << mesh.metrics_text();
}

TEST(CountTokens, IsAnsweredByAnEngineInAnthropicsForm) {
  TestMesh mesh;
  const std::string body = R"({"model":"m","messages":[{"role":"user","content":"hi"}]})";
  mesh.engine().answers(json_answer(R"({"input_tokens":9})"));
  const TestAnswer answer = mesh.ask(post("/v1/messages/count_tokens?beta=true", body));
  EXPECT_EQ(answer.body, R"({"input_tokens":9})");
  EXPECT_EQ(answer.header("request-id"), answer.header("x-request-id"));
  EXPECT_TRUE(
      mesh.engine().requests[0].head.starts_with("POST /v1/messages/count_tokens?beta=true "));
  EXPECT_TRUE(mesh.ask(post("/anthropic/v1/messages/count_tokens", body)).has("input_tokens"));
  const TestAnswer unknown = mesh.ask(post("/v1/messages/count_tokens", R"({"model":"n"})"));
  EXPECT_EQ(unknown.status, 404);
  EXPECT_TRUE(unknown.body.starts_with(R"({"type":"error","error":{"type":"not_found_error")"));
}

TEST(CountTokens, AnEnginesOwnErrorGetsTheEnvelope) {
  TestMesh mesh;
  mesh.engine().answers(json_answer(R"({"detail":"Not Found"})", 404));
  const TestAnswer answer = mesh.ask(post("/v1/messages/count_tokens", R"({"model":"m"})"));
  EXPECT_EQ(answer.status, 404);
  EXPECT_TRUE(answer.body.starts_with(
      R"({"type":"error","error":{"type":"not_found_error","message":"Not Found"},"request_id":")"))
      << answer.body;
}

}  // namespace
}  // namespace infermesh::data
