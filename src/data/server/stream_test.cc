// Event streams: keep-alives, and every way in which a stream breaks.
#include <gtest/gtest.h>

#include "data/server/testing_mesh.h"

namespace infermesh::data {
namespace {

const std::string kMessagesBody =
    R"({"model":"m","stream":true,"max_tokens":5,"messages":[{"role":"user","content":"hi"}]})";
const std::string kMessageStop = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TestScript after(Duration time, std::string text) {
  return [time, text](TestWire& wire) -> port::Task<void> {
    co_await wire.sleep(time);
    co_await wire.write(text);
  };
}

TEST(Stream, KeepsTheClientsConnectionAliveWhileTheEngineThinks) {
  TestMesh mesh;
  mesh.engine().plays(after(40s, sse_answer({delta("a"), kDone})));
  TestClient client = mesh.connect();
  client.send(chat(kStreamBody));
  mesh.world.run_for(4999ms);
  EXPECT_EQ(client.read(), "");
  mesh.world.run_for(2ms);
  EXPECT_EQ(client.peek().body, ": ping\n\n");
  EXPECT_EQ(client.peek().status, 200);
  mesh.world.run_for(14990ms);
  EXPECT_EQ(count(client.peek().body, ": ping"), 1u);
  mesh.world.run_for(20ms);
  EXPECT_EQ(count(client.peek().body, ": ping"), 2u);
  EXPECT_EQ(client.answer().body, ": ping\n\n: ping\n\n: ping\n\n" + delta("a") + kDone);
}

TEST(Stream, KeepsItAliveBetweenEventsToo) {
  TestMesh mesh;
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.write(kSseHead + chunk(delta("a")));
    co_await wire.sleep(16s);
    co_await wire.write(chunk(": engine's own\n\n"));
    co_await wire.sleep(1s);
    co_await wire.write(chunk(delta("b") + kDone) + kLastChunkText);
  });
  EXPECT_EQ(mesh.ask(chat(kStreamBody)).body, delta("a") + ": ping\n\n" + delta("b") + kDone);
}

TEST(Stream, EventsThatCameTogetherLeaveInOneChunk) {
  TestMesh mesh;
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.write(kSseHead + chunk(delta("a")) + chunk(delta("b")));
    co_await wire.sleep(1s);
    co_await wire.write(chunk(delta("c")) + chunk(kDone) + kLastChunkText);
  });
  TestClient client = mesh.connect();
  client.send(chat(kStreamBody));
  EXPECT_NE(client.read().find("\r\n" + delta("a") + delta("b") + "\r\n"), std::string::npos);
  mesh.world.run_for(1s);
  EXPECT_NE(client.read().find("\r\n" + delta("c") + kDone + "\r\n0\r\n\r\n"), std::string::npos);
}

TEST(Stream, WhatCameBeforeABreakInTheSameReadIsSentBeforeTheError) {
  TestMesh mesh;
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.write(kSseHead + chunk(delta("a")) + chunk(delta("b")) + "zz\r\n");
  });
  const TestAnswer answer = mesh.ask(chat(kStreamBody));
  EXPECT_TRUE(answer.body.starts_with(delta("a") + delta("b"))) << answer.body;
  EXPECT_NE(answer.body.find("\"error\""), std::string::npos) << answer.body;
}

TEST(Stream, AnthropicClientsGetTheirOwnPing) {
  TestMesh mesh;
  mesh.engine().plays(after(6s, sse_answer({kMessageStop})));
  const TestAnswer answer = mesh.ask(post("/v1/messages", kMessagesBody));
  EXPECT_EQ(answer.body, "event: ping\ndata: {\"type\":\"ping\"}\n\n" + kMessageStop);
  EXPECT_EQ(answer.header("request-id"), answer.header("x-request-id"));
}

TEST(Stream, AnAnswerThatIsNoStreamHasNoKeepalives) {
  TestMesh mesh;
  mesh.engine().plays(after(30s, json_answer(kPlainAnswer)));
  EXPECT_EQ(mesh.ask(chat(kPlainBody)).body, kPlainAnswer);
}

TEST(Stream, KeepsItAliveWhenTheStreamIsAskedForAfterTheDecision) {
  config::Settings settings;
  settings.prompt_bytes_wanted = 100;
  TestMesh mesh(1, settings);
  mesh.engine().plays(after(12s, sse_answer({delta("a"), kDone})));
  const std::string request = chat(R"({"model":"m","messages":[{"content":")" +
                                   std::string(9000, 'x') + R"("}],"stream":true})");
  TestClient client = mesh.connect();
  client.send(request.substr(0, 5000));
  EXPECT_EQ(mesh.engine().asked(), 1u);
  mesh.world.run_for(1s);
  client.send(request.substr(5000));
  EXPECT_EQ(client.answer().body, ": ping\n\n" + delta("a") + kDone);
}

TEST(Stream, SendsNoKeepalivesWhenToldSo) {
  config::Settings settings;
  settings.sse_keepalive_first = 0s;
  TestMesh mesh(1, settings);
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.sleep(40s);
    co_await wire.write(kSseHead + chunk(delta("a")));
    co_await wire.sleep(40s);
    co_await wire.write(chunk(kDone) + kLastChunkText);
  });
  TestClient client = mesh.connect();
  client.send(chat(kStreamBody));
  EXPECT_EQ(client.answer(100s).body, delta("a") + kDone);
}

TEST(Stream, AnHttp10ClientSeesABreakAsAReset) {
  TestMesh mesh;
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.write(kSseHead + chunk(delta("a")));
    wire.close();
  });
  TestClient client = mesh.connect();
  client.send(fmt::format("POST /v1/chat/completions HTTP/1.0\r\ncontent-length: {}\r\n\r\n{}",
                          kStreamBody.size(), kStreamBody));
  mesh.world.run_for(1s);
  client.read();
  EXPECT_TRUE(client.reset) << "a close would be the end of a whole answer";
}

TEST(Stream, AFailureAfterAKeepaliveIsToldInBand) {
  TestMesh mesh;
  mesh.engine().plays(after(6s, json_answer(R"({"error":{"message":"too long"}})", 400)));
  const TestAnswer answer = mesh.ask(chat(kStreamBody));
  EXPECT_EQ(answer.status, 200);
  EXPECT_FALSE(answer.whole);
  EXPECT_EQ(count(answer.body, ": ping"), 1u);
  EXPECT_TRUE(answer.has("data: {\"error\":")) << answer.body;
  EXPECT_FALSE(answer.has("[DONE]"));
}

// The client sees one whole event, then an error, then an end that is none.
void expect_broken(std::string_view rest, std::string_view code, OutcomeKind kind) {
  SCOPED_TRACE(rest);
  TestMesh mesh;
  mesh.engine().plays([text = std::string(rest)](TestWire& wire) -> port::Task<void> {
    co_await wire.write(kSseHead + chunk(delta("a")));
    co_await wire.sleep(1s);
    co_await wire.write(text);
    wire.close();
  });
  TestClient client = mesh.connect();
  client.send(chat(kStreamBody));
  const TestAnswer answer = client.answer();
  EXPECT_TRUE(answer.body.starts_with(delta("a"))) << answer.body;
  EXPECT_TRUE(answer.has("data: {\"error\":")) << answer.body;
  EXPECT_TRUE(answer.has(code)) << answer.body;
  EXPECT_FALSE(answer.has("[DONE]")) << answer.body;
  EXPECT_FALSE(answer.whole) << "no last chunk";
  EXPECT_TRUE(client.closed());
  ASSERT_EQ(mesh.outcomes.size(), 1u);
  EXPECT_EQ(mesh.outcomes[0].kind, kind);
  EXPECT_TRUE(mesh.counted("infermesh_streams_broken_total{"));
}

TEST(Stream, ABrokenStreamNeverLooksComplete) {
  expect_broken("", "stream_truncated", OutcomeKind::kTruncated);
  expect_broken(chunk("data: {\"choices\":[{\"del"), "stream_truncated", OutcomeKind::kTruncated);
  expect_broken(kLastChunkText, "stream_truncated", OutcomeKind::kTruncated);
  expect_broken("zz\r\n", "upstream_bad_response", OutcomeKind::kBadResponse);
  expect_broken(chunk("data: oops\n\n"), "upstream_bad_response", OutcomeKind::kBadResponse);
}

TEST(Stream, AnErrorFrameBeforeDoneIsAnError) {
  expect_broken(
      chunk("data: {\"error\":{\"message\":\"out of memory\",\"code\":500}}\n\n" + kDone) +
          kLastChunkText,
      "out of memory", OutcomeKind::kTruncated);
}

TEST(Stream, AnthropicClientsSeeTheErrorInTheirForm) {
  TestMesh mesh;
  const std::string start =
      "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m\"}}\n\n";
  mesh.engine().plays([start](TestWire& wire) -> port::Task<void> {
    co_await wire.write(kSseHead + chunk(start));
    wire.close();
  });
  const TestAnswer answer = mesh.ask(post("/v1/messages", kMessagesBody));
  EXPECT_TRUE(answer.body.starts_with(start + "event: error\ndata: {\"type\":\"error\""))
      << answer.body;
  EXPECT_FALSE(answer.whole);
}

TEST(Stream, TheErrorOfAResponsesStreamGoesOnCounting) {
  TestMesh mesh;
  const std::string created =
      "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":6}\n\n";
  mesh.engine().answers(sse_answer({created}));
  const TestAnswer answer =
      mesh.ask(post("/v1/responses", R"({"model":"m","stream":true,"input":"hi"})"));
  EXPECT_TRUE(answer.body.starts_with(created + "event: error\n")) << answer.body;
  EXPECT_TRUE(answer.has(R"("sequence_number":7,)")) << answer.body;
  EXPECT_FALSE(answer.whole);
}

TEST(Stream, AnErrorFrameAboutTheRequestIsNotTheEnginesFault) {
  TestMesh mesh(2);
  const std::string error = "data: {\"error\":{\"message\":\"prompt too long\",\"code\":400}}\n\n";
  mesh.engine(0).answers(sse_answer({error, kDone}));
  mesh.engine(1).answers(sse_answer({delta("a"), kDone}));
  const TestAnswer answer = mesh.ask(chat(kStreamBody));
  EXPECT_EQ(answer.status, 400);
  EXPECT_TRUE(answer.has("prompt too long")) << answer.body;
  EXPECT_EQ(mesh.engine(1).asked(), 0u) << "it would say the same";
  EXPECT_TRUE(mesh.outcomes.empty()) << "says nothing about the engine's health";
}

TEST(Stream, AnAnswerThatBreaksOffHalfWayEndsUncleanly) {
  TestMesh mesh;
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.write(json_answer(kPlainAnswer).substr(0, 100));
    wire.close();
  });
  TestClient client = mesh.connect();
  client.send(chat(kPlainBody));
  const TestAnswer answer = client.answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_FALSE(answer.whole);
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(mesh.outcomes.at(0).kind, OutcomeKind::kTruncated);
}

TEST(Stream, WhatFollowsTheLastEventDoesNotReachTheClient) {
  TestMesh mesh;
  mesh.engine().answers(sse_answer({delta("a"), kDone, delta("late")}));
  const TestAnswer answer = mesh.ask(chat(kStreamBody));
  EXPECT_TRUE(answer.whole);
  EXPECT_EQ(answer.body, delta("a") + kDone);
}

TEST(Stream, IdAndRetryLinesStayInside) {
  TestMesh mesh;
  mesh.engine().answers(sse_answer({"id: 7\nretry: 10\n" + delta("a"), kDone}));
  EXPECT_EQ(mesh.ask(chat(kStreamBody)).body, delta("a") + kDone);
}

TEST(Stream, EventsCutAnywhereArriveWhole) {
  TestMesh mesh;
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    const std::string text = sse_answer({delta("a"), delta("b"), kDone});
    for (const char c : text) {
      co_await wire.write(std::string(1, c));
      co_await wire.sleep(1ms);
    }
  });
  TestClient client = mesh.connect();
  client.send(chat(kStreamBody));
  EXPECT_EQ(client.answer().body, delta("a") + delta("b") + kDone);
  mesh.world.run_for(20ms);
  EXPECT_EQ(mesh.shard.upstream.idle(), 1u) << "the body's end was waited for";
}

}  // namespace
}  // namespace infermesh::data
