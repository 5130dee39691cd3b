// Live sessions: the handshake, bytes both ways, how they end.
#include <gtest/gtest.h>

#include "data/server/testing_mesh.h"
#include "wire/http/websocket.h"

namespace infermesh::data {
namespace {

const std::string kAccepted =
    "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
    "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

std::string handshake(std::string_view query = "?model=m", std::string_view more = "") {
  return fmt::format(
      "GET /v1/realtime{} HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
      "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{}\r\n",
      query, more);
}

// An engine that accepts, says "hello" and then repeats what it hears.
void repeats(TestEngine& engine, std::string first = "hello") {
  engine.plays([first](TestWire& wire) -> port::Task<void> {
    co_await wire.write(kAccepted + first);
    while (true) {
      const std::string heard = co_await wire.take_some();
      if (heard.empty()) co_return;
      co_await wire.write(heard);
    }
  });
}

std::string after_head(TestClient& client) {
  const std::string& text = client.read();
  const auto end = text.find("\r\n\r\n");
  return end == std::string::npos ? "" : text.substr(end + 4);
}

TEST(Realtime, BytesPassBothWaysUntilTheClientLeaves) {
  TestMesh mesh;
  repeats(mesh.engine());
  TestClient client = mesh.connect();
  client.send(handshake("?model=m", "x-request-id: r\r\nOpenAI-Beta: realtime=v1\r\n"));
  EXPECT_EQ(after_head(client), "hello");
  const std::string head = client.input.substr(0, client.input.find("\r\n\r\n"));
  EXPECT_TRUE(head.starts_with("HTTP/1.1 101 ")) << head;
  EXPECT_NE(head.find("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), std::string::npos);
  EXPECT_EQ(head.find("connection: close"), std::string::npos) << head;
  EXPECT_EQ(head.find("transfer-encoding"), std::string::npos) << head;
  const std::string said("\x81\x85\0\xff", 4);
  client.send(said);
  EXPECT_EQ(after_head(client), "hello" + said);
  EXPECT_EQ(mesh.cell().in_flight.load(), 1);
  const std::string& heard = mesh.engine().requests.at(0).head;
  EXPECT_NE(heard.find("GET /v1/realtime?model=m HTTP/1.1"), std::string::npos) << heard;
  EXPECT_NE(heard.find("upgrade: websocket"), std::string::npos);
  EXPECT_NE(heard.find("OpenAI-Beta: realtime=v1"), std::string::npos);
  client.leave();
  mesh.world.settle();
  EXPECT_EQ(mesh.cell().in_flight.load(), 0);
  const DecisionRecord* record = mesh.shard.decisions.find("r");
  ASSERT_NE(record, nullptr);
  EXPECT_EQ(record->status, 101);
  EXPECT_EQ(record->attempts.at(0).outcome.kind, OutcomeKind::kOk);
}

TEST(Realtime, TheModelIsOfTheQueryOrTheOnlyOne) {
  TestMesh mesh;
  repeats(mesh.engine());
  TestClient alone = mesh.connect();
  alone.send(handshake(""));
  EXPECT_EQ(after_head(alone), "hello") << "one model serves it";
  mesh.add_model("x/b", "served");
  TestClient named = mesh.connect();
  named.send(handshake("?model=x%2Fb&x=1"));
  EXPECT_EQ(after_head(named), "hello");
  EXPECT_NE(mesh.engine().requests.at(1).head.find("?model=served&x=1 "), std::string::npos);
  EXPECT_EQ(mesh.ask(handshake("")).status, 400);
  EXPECT_EQ(mesh.ask(handshake("?model=other")).status, 404);
}

TEST(Realtime, KeysAmongTheProtocolsStayHere) {
  TestMesh mesh;
  repeats(mesh.engine());
  TestClient client = mesh.connect();
  client.send(handshake("", "Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.sk-1\r\n"));
  EXPECT_EQ(after_head(client), "hello");
  const std::string& heard = mesh.engine().requests.at(0).head;
  EXPECT_NE(heard.find("sec-websocket-protocol: realtime\r\n"), std::string::npos) << heard;
  EXPECT_EQ(heard.find("sk-1"), std::string::npos);
}

TEST(Realtime, WhatIsNoHandshakeIsToldSo) {
  TestMesh mesh;
  TestClient client = mesh.connect();
  client.send("GET /v1/realtime?model=m HTTP/1.1\r\nhost: x\r\n\r\n");
  const TestAnswer answer = client.answer();
  EXPECT_EQ(answer.status, 426);
  EXPECT_EQ(answer.header("sec-websocket-version"), "13");
  EXPECT_EQ(mesh.engine().asked(), 0u);
}

TEST(Realtime, AnEnginesRefusalIsPassed) {
  TestMesh mesh;
  mesh.engine().answers(json_answer(R"({"error":{"message":"no room"}})", 403));
  const TestAnswer refused = mesh.ask(handshake());
  EXPECT_EQ(refused.status, 403);
  EXPECT_TRUE(refused.has("no room"));
  mesh.engine().answers(json_answer("{}"));
  EXPECT_EQ(mesh.ask(handshake()).status, 502) << "200 is no session";
}

TEST(Realtime, AnotherEngineIsTriedBeforeTheSessionHasBegun) {
  TestMesh mesh(2);
  mesh.engine(0).answers(json_answer(R"({"error":"busy"})", 503));
  repeats(mesh.engine(1));
  TestClient client = mesh.connect();
  client.send(handshake());
  EXPECT_EQ(after_head(client), "hello");
}

TEST(Realtime, ASilentSessionEndsALiveOneHasNoTotal) {
  config::Settings settings;
  settings.realtime_idle_timeout = 1min;
  TestMesh mesh(1, settings);
  mesh.pool().media_total_timeout = 2min;
  mesh.publish();
  repeats(mesh.engine());
  TestClient client = mesh.connect();
  client.send(handshake("", "x-request-id: r\r\n"));
  for (int i = 0; i < 10; ++i) {
    mesh.world.run_for(30s);
    client.send("x");
  }
  EXPECT_EQ(after_head(client), "helloxxxxxxxxxx");
  mesh.world.run_for(61s);
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(mesh.shard.decisions.find("r")->error_code, "session_idle");
}

TEST(Realtime, AnEngineThatEndsEndsTheSession) {
  TestMesh mesh;
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.write(kAccepted + "bye");
    wire.close();
  });
  TestClient client = mesh.connect();
  client.send(handshake());
  mesh.world.run_for(2s);
  EXPECT_TRUE(client.closed());
  EXPECT_TRUE(client.input.ends_with("bye"));
}

TEST(Realtime, AClientThatDoesNotReadHoldsTheEngineBack) {
  TestMesh mesh;
  mesh.world.network().set_window(16 << 10);
  std::uint64_t written = 0;
  mesh.engine().plays([&written](TestWire& wire) -> port::Task<void> {
    co_await wire.write(kAccepted);
    for (int i = 0; i < 1000; ++i) {
      if (!co_await wire.write(std::string(10'000, 'x'))) co_return;
      written += 10'000;
    }
  });
  TestClient client = mesh.connect();
  client.send_unseen(handshake());
  mesh.world.run_for(5s);
  EXPECT_GT(written, 0u);
  EXPECT_LT(written, 300'000u);
  client.leave();
  mesh.world.run_for(1s);
}

TEST(Realtime, ADrainLetsItGoOnAndCutsItAtItsEnd) {
  TestMesh mesh;
  repeats(mesh.engine());
  TestClient client = mesh.connect();
  client.send(handshake());
  mesh.server.drain(mesh.world.now() + 5s, [] {});
  client.send("x");
  EXPECT_EQ(after_head(client), "hellox");
  mesh.world.run_for(7s);
  EXPECT_TRUE(client.closed());
}

TEST(Realtime, ASessionThatTheRouterEndsIsClosedOnBothSides) {
  config::Settings settings;
  settings.realtime_idle_timeout = 1min;
  const std::string hello = "\x81\x05hello";
  for (const bool amid : {false, true}) {
    const std::string first = amid ? hello.substr(0, 4) : hello;
    std::string heard;
    TestMesh mesh(1, settings);
    mesh.engine().plays([&](TestWire& wire) -> port::Task<void> {
      co_await wire.write(kAccepted + first);
      while (true) {
        const std::string more = co_await wire.take_some();
        if (more.empty()) co_return;
        heard += more;
      }
    });
    TestClient client = mesh.connect();
    client.send(handshake());
    mesh.world.run_for(61s);
    EXPECT_TRUE(client.closed());
    const std::string said = after_head(client);
    const std::string close = http::websocket_close(1001, "nothing was said for 60 s");
    EXPECT_EQ(said, amid ? first : first + close) << "never amid a frame";
    ASSERT_EQ(heard.size(), close.size() + 4) << "a client masks what it sends";
    EXPECT_EQ(heard.substr(0, 1), "\x88");
  }
}

}  // namespace
}  // namespace infermesh::data
