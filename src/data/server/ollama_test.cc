// Ollama's own API: streams of JSON lines, its errors, its names, its pages.
#include <gtest/gtest.h>

#include "data/server/testing_mesh.h"

namespace infermesh::data {
namespace {

const std::string kAsk = R"({"model":"m","messages":[{"role":"user","content":"hi"}]})";
const std::string kLinesHead =
    "HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n";

std::string word(std::string_view text, std::string_view model = "m") {
  return fmt::format(
      R"({{"model":"{}","message":{{"role":"assistant","content":"{}"}},"done":false}})"
      "\n",
      model, text);
}
std::string last(std::string_view model = "m") {
  return fmt::format(R"({{"model":"{}","message":{{"role":"assistant","content":""}},"done":true,)"
                     R"("done_reason":"stop","prompt_eval_count":26,"eval_count":9}})"
                     "\n",
                     model);
}
std::string lines_answer(const std::vector<std::string>& lines) {
  std::string text = kLinesHead;
  for (const std::string& line : lines) text += chunk(line);
  return text + kLastChunkText;
}

// Engines that speak it.
struct OllamaMesh : TestMesh {
  explicit OllamaMesh(std::size_t count = 1, const config::Settings& given = {})
      : TestMesh(count, given) {
    for (auto& endpoint : view.endpoints) {
      endpoint->runtime = Runtime::kOllama;
      endpoint->apis = apis_of(Runtime::kOllama);
    }
    publish();
  }
};

TEST(Ollama, LinesGoThroughAsTheyComeAndTheLastOneIsCounted) {
  OllamaMesh mesh;
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.sleep(2s);
    co_await wire.write(kLinesHead + chunk(word("a")));
    co_await wire.sleep(1s);
    co_await wire.write(chunk(word("b") + last()) + kLastChunkText);
  });
  TestClient client = mesh.connect();
  client.send(post("/api/chat", kAsk));
  mesh.world.run_for(2500ms);
  EXPECT_EQ(client.peek().body, word("a")) << "no line waits for the next";
  const TestAnswer answer = client.answer();
  EXPECT_EQ(answer.body, word("a") + word("b") + last());
  EXPECT_TRUE(answer.whole);
  EXPECT_EQ(answer.header("content-type"), "application/x-ndjson");
  EXPECT_EQ(mesh.engine().requests[0].body, kAsk);
  EXPECT_TRUE(mesh.counted(R"(infermesh_tokens_total{model="m",kind="prompt"} 26)"));
  EXPECT_TRUE(mesh.counted(R"(infermesh_tokens_total{model="m",kind="output"} 9)"));
  const auto records = mesh.shard.decisions.recent(1);
  EXPECT_EQ(records[0]->ttft, Duration(2s));
  EXPECT_EQ(mesh.shard.upstream.idle(), 1u);
}

TEST(Ollama, LinesCutAnywhereArriveWhole) {
  OllamaMesh mesh;
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    for (const char c : lines_answer({word("a"), word("b"), last()})) {
      co_await wire.write(std::string(1, c));
      co_await wire.sleep(1ms);
    }
  });
  EXPECT_EQ(mesh.ask(post("/api/chat", kAsk)).body, word("a") + word("b") + last());
}

TEST(Ollama, NoKeepaliveIsMixedIntoLines) {
  OllamaMesh mesh;
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.sleep(40s);
    co_await wire.write(kLinesHead + chunk(word("a")));
    co_await wire.sleep(40s);
    co_await wire.write(chunk(last()) + kLastChunkText);
  });
  TestClient client = mesh.connect();
  client.send(post("/api/chat", kAsk));
  EXPECT_EQ(client.answer(100s).body, word("a") + last());
}

TEST(Ollama, ABrokenStreamEndsWithAnErrorLineAndUncleanly) {
  for (const std::string& rest :
       {std::string(), kLastChunkText, std::string("zz\r\n"), chunk("nonsense\n"),
        chunk(R"({"done":tr)"), chunk("{\"error\":\"out of memory\"}\n") + kLastChunkText}) {
    SCOPED_TRACE(rest);
    OllamaMesh mesh;
    mesh.engine().plays([rest](TestWire& wire) -> port::Task<void> {
      co_await wire.write(kLinesHead + chunk(word("a")));
      co_await wire.sleep(1s);
      co_await wire.write(rest);
      wire.close();
    });
    TestClient client = mesh.connect();
    client.send(post("/api/chat", kAsk));
    const TestAnswer answer = client.answer();
    EXPECT_TRUE(answer.body.starts_with(word("a") + "{\"error\":\"")) << answer.body;
    EXPECT_TRUE(answer.body.ends_with("\"}\n")) << answer.body;
    EXPECT_EQ(answer.has("out of memory"), rest.contains("out of memory"));
    EXPECT_FALSE(answer.whole);
    EXPECT_TRUE(client.closed());
    EXPECT_TRUE(mesh.counted("infermesh_streams_broken_total{"));
  }
}

TEST(Ollama, BeforeTheFirstLineAnotherEngineIsTried) {
  OllamaMesh mesh(2);
  mesh.engine(0).plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.write(kLinesHead);
    wire.close();
  });
  mesh.engine(1).answers(lines_answer({word("a"), last()}));
  EXPECT_EQ(mesh.ask(post("/api/generate", R"({"model":"m","prompt":"hi"})")).body,
            word("a") + last());
}

TEST(Ollama, AWholeAnswerIsOneObject) {
  OllamaMesh mesh;
  const std::string body = R"({"model":"m","response":"yes","done":true,"eval_count":1})";
  mesh.engine().answers(json_answer(body));
  const TestAnswer answer =
      mesh.ask(post("/api/generate", R"({"model":"m","prompt":"hi","stream":false})"));
  EXPECT_EQ(answer.body, body);
  EXPECT_TRUE(mesh.counted(R"(infermesh_tokens_total{model="m",kind="output"} 1)"));
}

TEST(Ollama, EventsWhereLinesBelongAreNotTaken) {
  OllamaMesh mesh;
  mesh.engine().answers(sse_answer({delta("a"), kDone}));
  EXPECT_EQ(mesh.ask(post("/api/chat", kAsk)).status, 502);
  mesh.engine().answers(lines_answer({word("a"), last()}));
  EXPECT_EQ(mesh.ask(chat(kStreamBody)).status, 502);
}

TEST(Ollama, ErrorsAreOneText) {
  OllamaMesh mesh;
  const TestAnswer unknown = mesh.ask(post("/api/chat", R"({"model":"n","messages":[]})"));
  EXPECT_EQ(unknown.status, 404);
  EXPECT_TRUE(unknown.body.starts_with(R"({"error":"The model 'n' is not served here.)"))
      << unknown.body;
  mesh.engine().answers(json_answer(R"({"error":"server busy, please try again"})", 503));
  const TestAnswer busy = mesh.ask(post("/api/chat", kAsk));
  EXPECT_EQ(busy.status, 503);
  EXPECT_EQ(busy.body, R"({"error":"server busy, please try again"})");
  EXPECT_EQ(mesh.ask(post("/api/chat", "{")).body.substr(0, 10), R"({"error":")");
  EXPECT_EQ(mesh.ask("GET /api/nothing HTTP/1.1\r\nhost: x\r\n\r\n").body.substr(0, 10),
            R"({"error":")");
}

TEST(Ollama, ATagThatIsLeftOutMeansLatest) {
  OllamaMesh mesh;
  mesh.add_model("phi:latest", "phi:latest");
  mesh.view.endpoints[0]->models.push_back({"phi:latest", "", std::nullopt});
  mesh.publish();
  mesh.engine().answers(lines_answer({word("a", "phi:latest"), last("phi:latest")}));
  const TestAnswer answer =
      mesh.ask(post("/api/chat", R"({"model":"phi","messages":[{"role":"user","content":"x"}]})"));
  EXPECT_EQ(answer.body, word("a", "phi") + last("phi"));
  EXPECT_TRUE(mesh.engine().requests[0].body.contains(R"("model":"phi:latest")"));
  EXPECT_EQ(mesh.view.find_model("m:latest")->name, "m");
  EXPECT_EQ(mesh.view.find_model("phi:8b"), nullptr);
  EXPECT_EQ(mesh.view.find_model("host:80/phi"), nullptr);
  EXPECT_EQ(mesh.view.find_model(":latest"), nullptr);
}

TEST(Ollama, OnlyEnginesThatSpeakItAreAsked) {
  TestMesh mesh(2);
  const TestAnswer none = mesh.ask(post("/api/chat", kAsk));
  EXPECT_EQ(none.status, 400);
  EXPECT_TRUE(none.has(R"({"error":"No engine of 'm' serves this route: e0 (openai) serves chat,)"))
      << none.body;
  EXPECT_EQ(mesh.ask("GET /api/tags HTTP/1.1\r\nhost: x\r\n\r\n").body, R"({"models":[]})");

  mesh.endpoint(1).apis = apis_of(Runtime::kSglang);
  mesh.publish();
  mesh.engine(0).answers(json_answer(kPlainAnswer));
  mesh.engine(1).answers(lines_answer({word("a"), last()}));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(mesh.ask(post("/api/chat", kAsk)).status, 200);
  EXPECT_EQ(mesh.engine(0).asked(), 0u);
  // And where that one fails the other is no way out.
  mesh.engine(1).answers(json_answer("{}", 503));
  EXPECT_EQ(mesh.ask(post("/api/chat", kAsk)).status, 503);
  EXPECT_EQ(mesh.engine(0).asked(), 0u);
}

TEST(Ollama, TagsAndVersionAreAnsweredHere) {
  OllamaMesh mesh;
  mesh.endpoint(0).version = "0.33.0";
  mesh.publish();
  const TestAnswer tags = mesh.ask("GET /api/tags HTTP/1.1\r\nhost: x\r\n\r\n");
  EXPECT_EQ(tags.status, 200);
  EXPECT_TRUE(tags.has(R"({"models":[{"name":"m","model":"m",)")) << tags.body;
  EXPECT_EQ(tags.header("server"), "infermesh");
  EXPECT_EQ(mesh.ask("GET /api/version HTTP/1.1\r\nhost: x\r\n\r\n").body,
            R"({"version":"0.33.0"})");
  mesh.endpoint(0).state = EndpointState::kDown;
  mesh.publish();
  EXPECT_EQ(mesh.ask("GET /api/tags HTTP/1.1\r\nhost: x\r\n\r\n").body, R"({"models":[]})");
}

TEST(Ollama, ModelsAreNotManagedFromHere) {
  OllamaMesh mesh;
  mesh.engine().answers(json_answer("{}"));
  for (const char* path : {"/api/pull", "/api/push", "/api/create", "/api/copy",
                           "/api/blobs/sha256:29fdb92e57cf0827ded04ae6461b5931d01fa595843f55d"}) {
    const TestAnswer answer = mesh.ask(post(path, R"({"model":"m"})"));
    EXPECT_EQ(answer.status, 403) << path;
    EXPECT_TRUE(answer.has(R"({"error":"/api/)")) << answer.body;
  }
  EXPECT_EQ(
      mesh.ask("DELETE /api/delete HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}").status,
      403);
  EXPECT_EQ(mesh.engine().asked(), 0u);
}

TEST(Ollama, LeavingCancelsAndCountsWhatWasShown) {
  OllamaMesh mesh;
  mesh.engine().plays([&mesh](TestWire& wire) -> port::Task<void> {
    co_await wire.write(kLinesHead + chunk(word("a") + word("b")));
    co_await wire.until_gone();
    mesh.engine().gone_at.push_back(mesh.world.now());
  });
  TestClient client = mesh.connect();
  client.send(post("/api/chat", kAsk));
  mesh.world.run_for(1s);
  client.leave();
  mesh.world.settle();
  EXPECT_EQ(mesh.engine().gone_at.size(), 1u);
  EXPECT_TRUE(mesh.counted(R"(infermesh_cancelled_total{api="ollama_chat"} 1)"));
  EXPECT_TRUE(mesh.counted(R"(infermesh_tokens_total{model="m",kind="output"} 2)"));
}

TEST(Ollama, WhatIsReadyIsListedOnceInEveryList) {
  OllamaMesh mesh(2);
  mesh.add_model("m:latest", "m:latest");
  const auto get = [&](std::string_view path) {
    return mesh.ask(fmt::format("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", path)).body;
  };
  for (const char* path : {"/api/tags", "/api/ps", "/v1/models"}) {
    const std::string listed = get(path);
    EXPECT_TRUE(listed.contains(R"("m:latest")")) << path << ": " << listed;
    EXPECT_FALSE(listed.contains(R"("m")")) << path << ": " << listed;
  }
  EXPECT_TRUE(get("/api/ps").contains(R"("expires_at":"9999-12-31T23:59:59Z")"));
  EXPECT_TRUE(get("/v1/models/m").contains(R"("id":"m")")) << "it can be asked for all the same";
  mesh.view.models[0].endpoints.pop_back();  // by fewer engines: not the same thing
  mesh.publish();
  EXPECT_TRUE(get("/api/ps").contains(R"("name":"m")"));
  mesh.endpoint(0).state = mesh.endpoint(1).state = EndpointState::kDown;
  mesh.publish();
  EXPECT_EQ(get("/api/ps"), R"({"models":[]})");
}

}  // namespace
}  // namespace infermesh::data
