// What is answered without an engine: bad requests, unknown models and paths, wrong types, sizes.
#include <gtest/gtest.h>

#include <algorithm>

#include "data/server/testing_mesh.h"

namespace infermesh::data {
namespace {

void expect_error(const TestAnswer& answer, int status, std::string_view code) {
  EXPECT_EQ(answer.status, status) << answer.body;
  EXPECT_TRUE(answer.has(fmt::format(R"("code":"{}")", code))) << answer.body;
  EXPECT_EQ(answer.header("content-type"), "application/json");
  EXPECT_NE(answer.header("x-request-id"), "");
}

TEST(Refusal, AnUnknownModelIsToldTheNearest) {
  TestMesh mesh;
  mesh.add_model("qwen3-8b", "qwen3-8b");
  const TestAnswer answer = mesh.ask(chat(R"({"model":"qwen3-8v","messages":[]})"));
  expect_error(answer, 404, "model_not_found");
  EXPECT_TRUE(answer.has("The model 'qwen3-8v' is not served here. Nearest: qwen3-8b."))
      << answer.body;
  EXPECT_TRUE(answer.has(R"("param":"model")"));
  EXPECT_EQ(answer.header("x-should-retry"), "false");
  mesh.view.names = {{"m", ModelId(0)},
                     {"qwen3-8a", ModelId(1)},
                     {"qwen3-8b", ModelId(1)},
                     {"qwen3-8c", ModelId(1)}};
  mesh.publish();
  EXPECT_TRUE(mesh.ask(chat(R"({"model":"qwen3-8","messages":[]})"))
                  .has("Nearest: qwen3-8a, qwen3-8b, qwen3-8c."));
}

TEST(Refusal, ARouteThatNoEngineOfTheModelServesIsToldSo) {
  TestMesh mesh(2);
  mesh.endpoint(0).runtime = Runtime::kInfinity;
  mesh.endpoint(0).apis = {Api::kEmbeddings, Api::kRerank};
  mesh.endpoint(1).described_by = "own-server";
  mesh.endpoint(1).apis = {};
  mesh.publish();
  const TestAnswer answer = mesh.ask(chat(kPlainBody));
  expect_error(answer, 400, "api_not_served");
  EXPECT_TRUE(
      answer.has("No engine of 'm' serves this route: e0 (infinity) serves embeddings, "
                 "rerank, e1 (own-server) serves no route of this router."))
      << answer.body;
  EXPECT_EQ(answer.header("x-should-retry"), "false");
}

TEST(Refusal, AMissingModelIsNamed) {
  TestMesh mesh;
  expect_error(mesh.ask(chat(R"({"messages":[]})")), 400, "missing_required_parameter");
}

TEST(Refusal, ABodyThatIsNotJsonIsRefusedAndTheConnectionGoesOn) {
  TestMesh mesh;
  mesh.engine().answers(json_answer(kPlainAnswer));
  TestClient client = mesh.connect();
  client.send(chat("[1]") + chat(""));
  expect_error(client.answer(), 400, "invalid_json");
  expect_error(client.answer(), 400, "invalid_json");
  client.send(chat(kPlainBody));
  EXPECT_EQ(client.answer().status, 200);
}

TEST(Refusal, WhatStandsInARefusedBodyIsNotARequest) {
  TestMesh mesh;
  TestClient client = mesh.connect();
  client.send(chat("GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"));
  expect_error(client.answer(), 400, "invalid_json");
  mesh.world.run_for(1s);
  EXPECT_EQ(client.read(), "");
}

TEST(Refusal, AnUnknownPathHasItsOwnError) {
  TestMesh mesh;
  const TestAnswer answer = mesh.ask("GET /v3/nothing HTTP/1.1\r\nhost: x\r\n\r\n");
  expect_error(answer, 404, "unknown_path");
  EXPECT_TRUE(answer.has("/v3/nothing"));
}

TEST(Refusal, AWrongMethodIsToldTheRightOne) {
  TestMesh mesh;
  const TestAnswer answer = mesh.ask("GET /v1/chat/completions HTTP/1.1\r\nhost: x\r\n\r\n");
  expect_error(answer, 405, "method_not_allowed");
  EXPECT_EQ(answer.header("allow"), "POST");
}

TEST(Refusal, AnotherMediaTypeIsRefused) {
  TestMesh mesh;
  mesh.engine().answers(json_answer(kPlainAnswer));
  TestClient client = mesh.connect();
  client.send(chat("--x\r\n", "content-type: multipart/form-data; boundary=x\r\n"));
  expect_error(client.answer(), 415, "unsupported_media_type");
  EXPECT_TRUE(client.closed()) << "its body was not read";
  EXPECT_EQ(mesh.ask(chat(kPlainBody, "content-type: application/json; charset=utf-8\r\n")).status,
            200);
}

TEST(Refusal, ABodyOverTheLimitIsRefusedWhenItIsAnnounced) {
  config::Settings settings;
  settings.body_bytes_max = 1000;
  TestMesh mesh(1, settings);
  TestClient client = mesh.connect();
  client.send(
      "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n"
      "content-length: 1001\r\n\r\n");
  const TestAnswer answer = client.answer();
  expect_error(answer, 413, "request_too_large");
  EXPECT_TRUE(answer.has("The body has 1001 bytes")) << answer.body;
  EXPECT_EQ(answer.header("connection"), "close");
  EXPECT_TRUE(client.closed());
  EXPECT_FALSE(client.reset) << "the answer must arrive";
}

TEST(Refusal, ABodyOverTheLimitIsRefusedWhenItComesInChunks) {
  config::Settings settings;
  settings.body_bytes_max = 1000;
  TestMesh mesh(1, settings);
  TestClient client = mesh.connect();
  client.send(
      "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" +
      chunk(R"({"model":"m","messages":[{"content":")" + std::string(2000, 'x')));
  expect_error(client.answer(), 413, "request_too_large");
  for (int i = 0; i < 5; ++i) {
    client.send(chunk(std::string(20'000, 'x')));
    mesh.world.run_for(100ms);
  }
  EXPECT_TRUE(client.closed());
  EXPECT_FALSE(client.reset) << "what comes late is taken in for a moment";
}

TEST(Refusal, ABodyThatIsNotWantedIsNotAskedFor) {
  config::Settings settings;
  settings.body_bytes_max = 1000;
  TestMesh mesh(1, settings);
  TestClient client = mesh.connect();
  client.send(
      "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n"
      "content-length: 1001\r\n\r\n");
  EXPECT_TRUE(client.read().starts_with("HTTP/1.1 413 ")) << client.input;
}

TEST(Refusal, ABodyOfARequestThatTakesNoneIsNotARequest) {
  TestMesh mesh;
  const std::string inner = "GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n";
  for (const std::string_view line :
       {"GET /v1/models", "POST /v9/nothing", "PUT /v1/completions"}) {
    TestClient client = mesh.connect();
    client.send(fmt::format("{} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{}", line,
                            inner.size(), inner));
    EXPECT_EQ(client.answer().header("connection"), "close") << line;
    mesh.world.run_for(100ms);
    EXPECT_EQ(client.read(), "") << line;
    EXPECT_TRUE(client.closed()) << line;
  }
}

TEST(Refusal, AMalformedHeadEndsTheConnection) {
  TestMesh mesh;
  TestClient client = mesh.connect();
  client.send("POST /v1/chat/completions HTTP/1.1\r\nhost : x\r\n\r\n" + chat(kPlainBody));
  expect_error(client.answer(), 400, "bad_request");
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(mesh.engine().asked(), 0u);
}

TEST(Refusal, AHeadOverTheLimitIsRefused) {
  TestMesh mesh;
  expect_error(mesh.ask(chat(kPlainBody, "x: " + std::string(70'000, 'x') + "\r\n")), 431,
               "header_too_large");
}

TEST(Refusal, TheClientIsAskedToGoOn) {
  TestMesh mesh;
  mesh.engine().answers(json_answer(kPlainAnswer));
  const std::string request = chat(kPlainBody, "expect: 100-continue\r\n");
  TestClient client = mesh.connect();
  client.send(request.substr(0, request.find("\r\n\r\n") + 4));
  EXPECT_EQ(client.read(), "HTTP/1.1 100 Continue\r\n\r\n");
  client.input.clear();
  client.send(kPlainBody);
  EXPECT_EQ(client.answer().status, 200);
  EXPECT_EQ(mesh.engine().requests.at(0).head.find("expect"), std::string::npos);
}

TEST(Refusal, TwoDifferentModelsAreRefused) {
  config::Settings settings;
  settings.prompt_bytes_wanted = 100;
  TestMesh mesh(1, settings);
  mesh.add_model("n", "n");
  mesh.engine().holds();
  const std::string body =
      R"({"model":"m","messages":[{"content":")" + std::string(9000, 'x') + R"("}],"model":"n"})";
  TestClient client = mesh.connect();
  client.send(chat(body).substr(0, 5000));
  EXPECT_EQ(mesh.engine().asked(), 1u);
  client.send(chat(body).substr(5000));
  expect_error(client.answer(), 400, "invalid_field");
}

TEST(Refusal, AnthropicClientsGetTheirOwnForm) {
  TestMesh mesh;
  const TestAnswer answer = mesh.ask(post("/v1/messages", R"({"model":"x","messages":[]})"));
  EXPECT_EQ(answer.status, 404);
  EXPECT_TRUE(answer.body.starts_with(R"({"type":"error","error":{"type":"not_found_error")"))
      << answer.body;
  EXPECT_TRUE(answer.has(R"("request_id":)"));
}

TEST(Refusal, Http10GetsAnAnswerItUnderstands) {
  TestMesh mesh;
  mesh.engine().answers(sse_answer({delta("a"), kDone}));
  TestClient client = mesh.connect();
  client.send(fmt::format("POST /v1/chat/completions HTTP/1.0\r\ncontent-length: {}\r\n\r\n{}",
                          kStreamBody.size(), kStreamBody));
  mesh.world.run_for(1s);
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(client.input.find("chunked"), std::string::npos);
  EXPECT_TRUE(client.input.ends_with("\r\n\r\n" + delta("a") + kDone)) << client.input;
}

TEST(Refusal, ModelsAreListedAndFound) {
  TestMesh mesh;
  const TestAnswer list = mesh.ask("GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n");
  EXPECT_EQ(list.status, 200);
  EXPECT_TRUE(list.has(R"("id":"m")"));
  EXPECT_EQ(list.header("server"), "infermesh") << "no mesh may take another for an engine";
  EXPECT_EQ(mesh.ask("GET /v1/models/m HTTP/1.1\r\nhost: x\r\n\r\n").status, 200);
  expect_error(mesh.ask("GET /v1/models/mm HTTP/1.1\r\nhost: x\r\n\r\n"), 404, "model_not_found");
  mesh.endpoint(0).state = EndpointState::kDown;
  mesh.publish();
  EXPECT_FALSE(mesh.ask("GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n").has(R"("id":"m")"));
}

TEST(Refusal, AListedModelHasTheFourKeysOfTheApi) {
  TestMesh mesh;
  mesh.add_model("org/nick", "real");
  const TestAnswer list = mesh.ask("GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n");
  EXPECT_TRUE(
      list.body.starts_with(R"({"object":"list","data":[{"id":"m","object":"model","created":)"))
      << list.body;
  for (const char* key : {R"("id":"org/nick")", R"("owned_by":)", R"("root":"real")"}) {
    EXPECT_TRUE(list.has(key)) << key << list.body;
  }
  mesh.view.names.emplace_back("alias", ModelId(1));
  std::sort(mesh.view.names.begin(), mesh.view.names.end());
  mesh.publish();
  for (const char* id : {"alias", "org/nick", "org%2Fnick"}) {
    const TestAnswer one =
        mesh.ask(fmt::format("GET /v1/models/{} HTTP/1.1\r\nhost: x\r\n\r\n", id));
    EXPECT_EQ(one.status, 200) << id;
    const std::string_view name = id == std::string_view("alias") ? "alias" : "org/nick";
    EXPECT_TRUE(one.body.starts_with(fmt::format(R"({{"id":"{}","object":"model",)", name)))
        << one.body;
  }
}

TEST(Refusal, ConnectionsOverTheLimitAreReset) {
  config::Settings settings;
  settings.connections_max = 1;
  TestMesh mesh(1, settings);
  TestClient first = mesh.connect(), second = mesh.connect();
  EXPECT_TRUE(second.closed());
  EXPECT_FALSE(first.closed());
  EXPECT_TRUE(mesh.counted("infermesh_connections_refused_total 1"));
}

}  // namespace
}  // namespace infermesh::data
