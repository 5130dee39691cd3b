// Every wait has its deadline, in virtual time, and its own error.
#include <gtest/gtest.h>

#include "data/server/testing_mesh.h"

namespace infermesh::data {
namespace {

// Asks, and holds that the answer comes at `when` and not earlier.
TestAnswer answered_at(TestMesh& mesh, const std::string& request, Duration when) {
  TestClient client = mesh.connect();
  client.send(request);
  mesh.world.run_for(when - 1ms);
  EXPECT_EQ(client.read(), "") << "nothing before " << to_seconds(when) << " s";
  mesh.world.run_for(2ms);
  return client.peek();
}

void expect_error(const TestAnswer& answer, int status, std::string_view code) {
  EXPECT_EQ(answer.status, status) << answer.body;
  EXPECT_TRUE(answer.has(fmt::format(R"("code":"{}")", code))) << answer.body;
  EXPECT_EQ(answer.header("content-type"), "application/json");
}

TEST(Deadline, OfTheFirstByte) {
  TestMesh mesh(2);
  mesh.pool().first_byte_timeout = 7s;
  mesh.publish();
  mesh.engine(0).holds();
  mesh.engine(1).answers(json_answer(kPlainAnswer));
  expect_error(answered_at(mesh, chat(kPlainBody), 7s), 504, "first_byte_timeout");
  EXPECT_EQ(mesh.engine(1).asked(), 0u) << "the time is spent";
  EXPECT_EQ(mesh.engine(0).gone_at.size(), 1u) << "the engine need not go on";
  EXPECT_EQ(mesh.outcomes.at(0).kind, OutcomeKind::kTimeout);
}

TEST(Deadline, BetweenBytesOfAnAnswer) {
  TestMesh mesh;
  mesh.pool().between_bytes_timeout = 3s;
  mesh.publish();
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.write(json_answer(kPlainAnswer).substr(0, 100));
    co_await wire.sleep(2s);
    co_await wire.write("  ");
    co_await wire.until_gone();
  });
  TestClient client = mesh.connect();
  client.send(chat(kPlainBody));
  mesh.world.run_for(4999ms);
  EXPECT_FALSE(client.closed());
  mesh.world.run_for(2ms);
  EXPECT_TRUE(client.closed());
  EXPECT_FALSE(client.peek().whole);
  EXPECT_EQ(mesh.outcomes.at(0).kind, OutcomeKind::kTimeout);
}

TEST(Deadline, BetweenBytesOfAStream) {
  TestMesh mesh;
  mesh.pool().between_bytes_timeout = 3s;
  mesh.publish();
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.write(kSseHead + chunk(delta("a")));
    co_await wire.until_gone();
  });
  TestClient client = mesh.connect();
  client.send(chat(kStreamBody));
  mesh.world.run_for(2999ms);
  EXPECT_EQ(client.peek().body, delta("a"));
  mesh.world.run_for(2ms);
  EXPECT_TRUE(client.peek().has("stream_stalled")) << client.input;
  EXPECT_TRUE(client.closed());
  EXPECT_FALSE(client.peek().whole);
}

TEST(Deadline, OfTheWholeExchange) {
  TestMesh mesh;
  mesh.pool().total_timeout = 4s;
  mesh.publish();
  mesh.engine().holds();
  expect_error(answered_at(mesh, chat(kPlainBody), 4s), 504, "deadline_exceeded");
  EXPECT_EQ(mesh.engine().gone_at.size(), 1u);
}

TEST(Deadline, OfTheWholeExchangeInAStream) {
  TestMesh mesh;
  mesh.pool().total_timeout = 4s;
  mesh.publish();
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    bool taken = co_await wire.write(kSseHead);
    while (taken) {
      co_await wire.sleep(100ms);
      taken = co_await wire.write(chunk(delta("a")));
    }
  });
  TestClient client = mesh.connect();
  client.send(chat(kStreamBody));
  mesh.world.run_for(4500ms);
  EXPECT_TRUE(client.peek().has("deadline_exceeded")) << client.input;
  EXPECT_TRUE(client.closed());
}

TEST(Deadline, ThatTheClientNames) {
  TestMesh mesh;
  mesh.engine().holds();
  for (const char* header : {"x-infermesh-timeout-ms: 1500\r\n"}) {
    expect_error(answered_at(mesh, chat(kPlainBody, header), 1500ms), 504, "deadline_exceeded");
  }
  expect_error(answered_at(mesh, chat(kPlainBody, "x-stainless-read-timeout: 2\r\n"), 2s), 504,
               "deadline_exceeded");
}

TEST(Deadline, ThatTheClientNamesEndsASlowBodyToo) {
  TestMesh mesh;
  const std::string request = chat(kPlainBody, "x-infermesh-timeout-ms: 1500\r\n");
  const std::string slow = request.substr(0, request.size() - kPlainBody.size() + 5);
  expect_error(answered_at(mesh, slow, 1500ms), 504, "deadline_exceeded");
}

TEST(Deadline, AWrongOneIsRefusedBeforeTheBody) {
  TestMesh mesh;
  TestClient client = mesh.connect();
  const std::string request = chat(kPlainBody, "x-stainless-read-timeout: soon\r\n");
  client.send(request.substr(0, request.size() - kPlainBody.size()));
  expect_error(client.peek(), 400, "invalid_field");
  EXPECT_TRUE(client.peek().has("x-stainless-read-timeout"));
}

TEST(Deadline, OfTheClientsHead) {
  TestMesh mesh;
  TestClient client = mesh.connect();
  client.send("POST /v1/chat/completions HTTP/1.1\r\nhost:");
  mesh.world.run_for(9999ms);
  EXPECT_FALSE(client.closed());
  mesh.world.run_for(2ms);
  expect_error(client.peek(), 408, "request_timeout");
  EXPECT_TRUE(client.closed());
}

TEST(Deadline, OfAHeadThatDrips) {
  TestMesh mesh;
  TestClient client = mesh.connect();
  client.send("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n");
  for (int i = 0; i < 9; ++i) {
    mesh.world.run_for(1s);
    client.send("x: y\r\n");
  }
  mesh.world.run_for(999ms);
  EXPECT_FALSE(client.closed());
  mesh.world.run_for(2ms);
  expect_error(client.peek(), 408, "request_timeout");
}

TEST(Deadline, OfABodyThatDoesNotBegin) {
  TestMesh mesh;
  TestClient client = mesh.connect();
  client.send(chat(kPlainBody).substr(0, chat(kPlainBody).size() - kPlainBody.size()));
  mesh.world.run_for(29999ms);
  EXPECT_EQ(client.read(), "") << "the body has its own time, not the head's";
  mesh.world.run_for(2ms);
  expect_error(client.peek(), 408, "request_timeout");
}

TEST(Deadline, OfAnIdleClient) {
  TestMesh mesh;
  TestClient client = mesh.connect();
  mesh.world.run_for(74999ms);
  EXPECT_FALSE(client.closed());
  mesh.world.run_for(2ms);
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(client.input, "");
}

TEST(Deadline, OfTheClientsBody) {
  TestMesh mesh;
  TestClient client = mesh.connect();
  client.send(chat(kPlainBody).substr(0, chat("").size() + 5));
  mesh.world.run_for(29999ms);
  EXPECT_EQ(client.read(), "");
  mesh.world.run_for(2ms);
  expect_error(client.peek(), 408, "request_timeout");
}

TEST(Deadline, AClientThatStopsAfterTheDecisionIsNotTheEnginesFault) {
  config::Settings settings;
  settings.prompt_bytes_wanted = 100;
  TestMesh mesh(1, settings);
  mesh.engine().holds();
  const std::string request =
      chat(R"({"model":"m","messages":[{"content":")" + std::string(10'000, 'x') + R"("}]})");
  TestClient client = mesh.connect();
  client.send(request.substr(0, 5000));
  EXPECT_EQ(mesh.engine().asked(), 1u);
  mesh.world.run_for(20s);
  client.send(request.substr(5000, 1000));
  mesh.world.run_for(29999ms);
  EXPECT_EQ(client.read(), "");
  mesh.world.run_for(2ms);
  expect_error(client.peek(), 408, "request_timeout");
  EXPECT_TRUE(mesh.outcomes.empty()) << "the engine is not to blame";
}

TEST(Deadline, FirstByteIsCountedFromTheEndOfTheBody) {
  config::Settings settings;
  settings.prompt_bytes_wanted = 100;
  TestMesh mesh(1, settings);
  mesh.pool().first_byte_timeout = 7s;
  mesh.publish();
  mesh.engine().holds();
  const std::string request =
      chat(R"({"model":"m","messages":[{"content":")" + std::string(10'000, 'x') + R"("}]})");
  TestClient client = mesh.connect();
  client.send(request.substr(0, 5000));
  mesh.world.run_for(20s);
  client.send(request.substr(5000));
  mesh.world.run_for(6999ms);
  EXPECT_EQ(client.read(), "");
  mesh.world.run_for(2ms);
  expect_error(client.peek(), 504, "first_byte_timeout");
}

}  // namespace
}  // namespace infermesh::data
