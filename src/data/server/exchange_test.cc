#include "data/exchange/exchange.h"

#include <gtest/gtest.h>

#include <set>

#include "data/server/testing_mesh.h"

namespace infermesh::data {
namespace {

std::string big(std::size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += fmt::format("{:07x} ", text.size());
  return text;
}

TEST(Exchange, RelaysTheBodyAndTheAnswerByteForByte) {
  TestMesh mesh;
  mesh.engine().answers(json_answer(kPlainAnswer, 200, "x-engine-says: hello\r\n"));
  const std::string body =
      R"({ "odd" :[1.50,"\u00e9\/"], "model":"m" ,"messages":[{"role":"user","content":"a\nb"}] } )";
  const TestAnswer answer = mesh.ask(chat(body, "authorization: Bearer secret\r\nx-own: 1\r\n"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, kPlainAnswer);
  EXPECT_EQ(answer.header("x-engine-says"), "hello");
  EXPECT_EQ(answer.header("x-infermesh-engine"), "e0");
  EXPECT_EQ(answer.header("x-infermesh-attempts"), "1");
  ASSERT_EQ(mesh.engine().asked(), 1u);
  EXPECT_EQ(mesh.engine().requests[0].body, body);
  EXPECT_EQ(mesh.engine().requests[0].head.find("secret"), std::string::npos);
  EXPECT_NE(mesh.engine().requests[0].head.find("x-own: 1"), std::string::npos);
}

TEST(Exchange, RelaysALongAnswerAndALongPrompt) {
  TestMesh mesh;
  const std::string text = big(1 << 20);
  const std::string reply = R"({"model":"m","choices":[{"text":")" + text + R"("}]})";
  mesh.engine().answers(json_answer(reply));
  const std::string body = R"({"model":"m","messages":[{"content":")" + text + R"("}]})";
  EXPECT_EQ(mesh.ask(chat(body)).body, reply);
  EXPECT_EQ(mesh.engine().requests.at(0).body, body);
}

TEST(Exchange, RelaysEventsAsTheyComeAndKeepsBothConnections) {
  TestMesh mesh;
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.write(kSseHead + chunk(delta("a")));
    co_await wire.sleep(1s);
    co_await wire.write(chunk(delta("b") + kDone) + kLastChunkText);
  });
  TestClient client = mesh.connect();
  client.send(chat(kStreamBody));
  EXPECT_EQ(client.peek().body, delta("a"));
  mesh.world.run_for(1s);
  const TestAnswer answer = client.answer();
  EXPECT_EQ(answer.body, delta("a") + delta("b") + kDone);
  EXPECT_EQ(answer.header("content-type"), "text/event-stream; charset=utf-8");
  client.send(chat(kStreamBody));
  EXPECT_TRUE(client.answer().whole);
  EXPECT_EQ(mesh.world.network().connections_made(mesh.engine().address()), 1u);
}

TEST(Exchange, PutsTheServedNameInAndTheAskedNameBack) {
  TestMesh mesh;
  mesh.add_model("nick", "org/real-name");
  mesh.engine().answers(json_answer(R"({"id":1,"model":"org/real-name","choices":[]})"));
  const TestAnswer answer = mesh.ask(chat(R"({"model":"nick","messages":[]})"));
  EXPECT_EQ(answer.body, R"({"id":1,"model":"nick","choices":[]})");
  EXPECT_EQ(mesh.engine().requests.at(0).body, R"({"model":"org/real-name","messages":[]})");

  mesh.engine().answers(sse_answer({delta("a", "org/real-name"), kDone}));
  const TestAnswer stream = mesh.ask(chat(R"({"model":"nick","stream":true,"messages":[]})"));
  EXPECT_EQ(stream.body, delta("a", "nick") + kDone);
}

TEST(Exchange, RestoresTheNameHoweverOftenAnAnswerHasIt) {
  TestMesh mesh;
  mesh.add_model("nick", "real");
  std::string reply = "{", wanted = "{";
  for (int i = 0; i < 8; ++i) {
    reply += R"("model":"real",)";
    wanted += R"("model":"nick",)";
  }
  mesh.engine().answers(json_answer(reply + R"("choices":[]})"));
  EXPECT_EQ(mesh.ask(chat(R"({"model":"nick","messages":[]})")).body, wanted + R"("choices":[]})");
}

TEST(Exchange, AsksForUsageAndKeepsItFromClientsThatDidNot) {
  TestMesh mesh;
  const std::string usage =
      R"(data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}})"
      "\n\n";
  mesh.engine().answers(sse_answer({delta("a"), usage, kDone}));
  EXPECT_EQ(mesh.ask(chat(kStreamBody)).body, delta("a") + kDone);
  EXPECT_NE(mesh.engine().requests.at(0).body.find(R"("include_usage":true)"), std::string::npos);
  EXPECT_TRUE(mesh.counted(R"(infermesh_tokens_total{model="m",kind="prompt"} 7)"))
      << mesh.metrics_text();

  const std::string asks =
      R"({"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[]})";
  EXPECT_EQ(mesh.ask(chat(asks)).body, delta("a") + usage + kDone);
  EXPECT_EQ(mesh.engine().requests.at(1).body, asks);
}

TEST(Exchange, SendsTheHeadBeforeTheClientHasSentItsWholeBody) {
  config::Settings settings;
  settings.prompt_bytes_wanted = 1024;
  TestMesh mesh(1, settings);
  mesh.engine().plays(
      [](TestWire& wire) -> port::Task<void> {
        if (!co_await wire.take_body()) co_return;
        co_await wire.write(json_answer(kPlainAnswer));
      },
      TestEngine::Body::kLeave);
  const std::string body =
      R"({"model":"m","messages":[{"role":"user","content":")" + big(200'000) + R"("}]})";
  const std::string request = chat(body);
  TestClient client = mesh.connect();
  client.send(request.substr(0, 4096));
  EXPECT_EQ(mesh.engine().asked(), 1u) << "the engine has the head while the body is on its way";
  client.send(request.substr(4096));
  EXPECT_EQ(client.answer().body, kPlainAnswer);
  EXPECT_EQ(mesh.engine().requests.at(0).body, body);
}

TEST(Exchange, AnAnswerBeforeTheEndOfTheBodyEndsTheConnection) {
  config::Settings settings;
  settings.prompt_bytes_wanted = 100;
  TestMesh mesh(1, settings);
  const auto reply = [](TestWire& wire) -> port::Task<void> {
    co_await wire.write(json_answer(kPlainAnswer));
  };
  mesh.engine().plays(reply, TestEngine::Body::kLeave);
  TestClient client = mesh.connect();
  const std::string body = R"({"model":"m","messages":[{"content":")" + std::string(9000, 'x');
  client.send(chat(body + R"("}]})").substr(0, 5000));
  const TestAnswer answer = client.answer();
  EXPECT_EQ(answer.body, kPlainAnswer);
  EXPECT_EQ(answer.header("connection"), "close") << "the rest of the body is no request";
  mesh.world.run_for(2s);
  EXPECT_TRUE(client.closed());
}

TEST(Exchange, TakesAModelThatIsTheLastFieldOfALongBody) {
  config::Settings settings;
  settings.prompt_bytes_wanted = 1024;
  TestMesh mesh(1, settings);
  mesh.engine().answers(json_answer(kPlainAnswer));
  const std::string body =
      R"({"messages":[{"role":"user","content":")" + big(100'000) + R"("}],"model":"m"})";
  EXPECT_EQ(mesh.ask(chat(body)).status, 200);
  EXPECT_EQ(mesh.engine().requests.at(0).body, body);
}

TEST(Exchange, AChunkedBodyIsTakenAsAWhole) {
  TestMesh mesh;
  mesh.engine().answers(json_answer(kPlainAnswer));
  const std::string request =
      "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" +
      chunk(kPlainBody.substr(0, 9)) + chunk(kPlainBody.substr(9)) + kLastChunkText;
  EXPECT_EQ(mesh.ask(request).status, 200);
  EXPECT_EQ(mesh.engine().requests.at(0).body, kPlainBody);
}

TEST(Exchange, PipelinedRequestsAreAnsweredInOrder) {
  TestMesh mesh;
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    const bool first = wire.body.find("first") != std::string::npos;
    const Duration pause = first ? 2s : 10ms;
    const std::string text = json_answer(first ? R"({"n":1})" : R"({"n":2})");
    co_await wire.sleep(pause);
    co_await wire.write(text);
  });
  TestClient client = mesh.connect();
  client.send(chat(R"({"model":"m","user":"first","messages":[]})") +
              chat(R"({"model":"m","user":"second","messages":[]})"));
  EXPECT_EQ(client.answer().body, R"({"n":1})");
  EXPECT_EQ(client.answer().body, R"({"n":2})");
}

TEST(Exchange, WritesWhatExplainNeeds) {
  TestMesh mesh;
  mesh.engine().answers(json_answer(kPlainAnswer));
  mesh.ask(chat(kPlainBody, "x-request-id: my-id\r\n"));
  const DecisionRecord* record = mesh.shard.decisions.find("my-id");
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->status, 200);
  EXPECT_EQ(record->pool, "p");
  ASSERT_EQ(record->attempts.size(), 1u);
  EXPECT_EQ(record->attempts[0].engine, "e0");
  EXPECT_EQ(record->attempts[0].outcome.output_tokens, Tokens(1));
  EXPECT_NE(mesh.engine().requests.at(0).head.find("x-request-id: my-id.1"), std::string::npos);
}

TEST(Exchange, WhoSendsAheadGivesOthersTheirTurn) {
  TestMesh mesh;
  const std::string ask = "GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n";
  TestClient greedy = mesh.connect(), other = mesh.connect();
  std::string many;
  for (int i = 0; i < 100; ++i) many += ask;
  greedy.send_unseen(many);
  other.send_unseen(ask);
  EXPECT_EQ(other.answer().status, 200);
  int answered = 0;
  greedy.read();
  for (std::size_t at = 0; (at = greedy.input.find("HTTP/1.1 200", at)) != std::string::npos; ++at)
    ++answered;
  EXPECT_LT(answered, 50);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(greedy.answer().status, 200) << i;
}

TEST(Exchange, AsksVllmForItsLoadAndTakesWhatAnAnswerTells) {
  TestMesh mesh(2);
  mesh.endpoint(0).runtime = Runtime::kVllm;
  mesh.endpoint(1).runtime = Runtime::kLlamacpp;
  mesh.publish();
  mesh.engine(0).answers(
      json_answer(kPlainAnswer, 200,
                  "endpoint-load-metrics: TEXT named_metrics.kv_cache_usage_perc=0.25, "
                  "named_metrics.num_requests_waiting=3\r\n"));
  mesh.engine(1).answers(json_answer(kPlainAnswer));
  const TestAnswer answer = mesh.ask(chat(kPlainBody));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("endpoint-load-metrics"), "") << "the mesh's business";
  EXPECT_NE(mesh.engine(0).requests.at(0).head.find("endpoint-load-metrics-format: TEXT\r\n"),
            std::string::npos);
  EXPECT_EQ(mesh.cell(0).reported_waiting.load(), 3);
  EXPECT_FLOAT_EQ(mesh.cell(0).reported_kv_used.load(), 0.25F);
  mesh.endpoint(0).state = EndpointState::kDown;
  mesh.publish();
  EXPECT_EQ(mesh.ask(chat(kPlainBody)).status, 200);
  EXPECT_EQ(mesh.engine(1).requests.at(0).head.find("endpoint-load-metrics"), std::string::npos);
  EXPECT_EQ(mesh.cell(1).reported_waiting.load(), -1);
}

// Which engine each of `keys` goes to when the body names it as `field` of a request for `model`.
std::vector<std::string> engines_of(TestMesh& mesh, const std::string& model,
                                    const std::string& field, const std::vector<std::string>& keys,
                                    const std::string& prompt) {
  std::vector<std::string> engines;
  for (const std::string& key : keys) {
    const TestAnswer answer = mesh.ask(chat(
        fmt::format(R"({{"model":"{}","messages":[{{"role":"user","content":"{}"}}],"{}":"{}"}})",
                    model, prompt, field, key)));
    EXPECT_EQ(answer.status, 200);
    engines.push_back(answer.header("x-infermesh-engine"));
  }
  return engines;
}

TEST(Exchange, EachPolicyReadsItsOwnSessionKeyOfTheBodyHoweverLateItComes) {
  TestMesh mesh(4);
  mesh.add_model("n", "m");
  for (std::size_t i = 0; i < 4; ++i) mesh.engine(i).answers(json_answer(kPlainAnswer));
  for (Model& model : mesh.view.models) {
    model.policy.emplace().policy = PolicyKind::kSession;
    model.policy->session_body_key = model.name == "m" ? "user" : "conversation";
  }
  mesh.publish();
  const std::vector<std::string> keys{"a", "b", "c", "d", "e", "f", "g", "h"};
  const std::string prompt(300'000, 'x');  // more than any policy looks at
  const auto first = engines_of(mesh, "m", "user", keys, prompt);
  EXPECT_GT(std::set<std::string>(first.begin(), first.end()).size(), 1u);
  EXPECT_EQ(engines_of(mesh, "m", "user", keys, "y"), first);
  EXPECT_EQ(engines_of(mesh, "n", "conversation", keys, "z"), first) << "the same keys";
  mesh.ask(chat(R"({"model":"n","messages":[],"user":"a"})"));
  EXPECT_EQ(mesh.shard.decisions.recent(1).at(0)->facts.session_key, 0u) << "not its field";
}

}  // namespace
}  // namespace infermesh::data
