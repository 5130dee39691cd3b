// Clients that leave, and clients that read slowly.
#include <gtest/gtest.h>

#include "data/server/testing_mesh.h"

namespace infermesh::data {
namespace {

// The client leaves; the engine must see it in the same moment.
void expect_cancelled(TestMesh& mesh, TestClient& client) {
  ASSERT_EQ(mesh.cell().in_flight.load(), 1);
  const Instant left = mesh.world.now();
  client.leave();
  mesh.world.settle();
  ASSERT_EQ(mesh.engine().gone_at.size(), 1u);
  EXPECT_EQ(mesh.engine().gone_at[0], left);
  EXPECT_EQ(mesh.cell().in_flight.load(), 0);
  EXPECT_TRUE(mesh.outcomes.empty()) << "says nothing about the engine";
  const auto records = mesh.shard.decisions.recent(1);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0]->status, 499);
  EXPECT_EQ(records[0]->error_code, "client_closed");
  EXPECT_TRUE(mesh.counted(R"(infermesh_cancelled_total{api="chat"} 1)"));
}

TestScript begins(TestMesh& mesh, std::string text) {
  return [&mesh, text](TestWire& wire) -> port::Task<void> {
    co_await wire.write(text);
    co_await wire.until_gone();
    mesh.engine().gone_at.push_back(mesh.world.now());
  };
}

TEST(Cancel, WhileTheAnswersHeadIsAwaited) {
  for (const std::string& body : {kPlainBody, kStreamBody}) {
    TestMesh mesh;
    mesh.engine().holds();
    TestClient client = mesh.connect();
    client.send(chat(body));
    mesh.world.run_for(3s);
    expect_cancelled(mesh, client);
  }
}

TEST(Cancel, WhileAConnectionToTheEngineIsMade) {
  TestMesh mesh;
  mesh.engine().holds();
  mesh.world.network().black_hole(mesh.engine().address());
  TestClient client = mesh.connect();
  client.send(chat(kPlainBody));
  mesh.world.run_for(100ms);
  ASSERT_EQ(mesh.cell().in_flight.load(), 1);
  client.leave();
  mesh.world.settle();
  EXPECT_EQ(mesh.cell().in_flight.load(), 0);
  const auto records = mesh.shard.decisions.recent(1);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0]->status, 499);
}

TEST(Cancel, WhileKeepalivesAreSent) {
  TestMesh mesh;
  mesh.engine().holds();
  TestClient client = mesh.connect();
  client.send(chat(kStreamBody));
  mesh.world.run_for(30s);
  EXPECT_EQ(client.peek().status, 200);
  expect_cancelled(mesh, client);
}

TEST(Cancel, WhileAStreamRuns) {
  TestMesh mesh;
  mesh.engine().plays(begins(mesh, kSseHead + chunk(delta("a"))));
  TestClient client = mesh.connect();
  client.send(chat(kStreamBody));
  mesh.world.run_for(1s);
  EXPECT_EQ(client.peek().body, delta("a"));
  expect_cancelled(mesh, client);
}

TEST(Cancel, WhileAPlainAnswerRuns) {
  TestMesh mesh;
  mesh.engine().plays(begins(mesh, json_answer(kPlainAnswer).substr(0, 100)));
  TestClient client = mesh.connect();
  client.send(chat(kPlainBody));
  mesh.world.run_for(1s);
  expect_cancelled(mesh, client);
}

TEST(Cancel, WhileAnErrorIsRead) {
  TestMesh mesh;
  mesh.engine().plays(begins(mesh, json_answer("{}", 500).substr(0, 60)));
  TestClient client = mesh.connect();
  client.send(chat(kPlainBody));
  mesh.world.run_for(1s);
  expect_cancelled(mesh, client);
}

TEST(Cancel, WhileTheBodyIsStillSent) {
  config::Settings settings;
  settings.prompt_bytes_wanted = 100;
  TestMesh mesh(1, settings);
  mesh.engine().plays(
      [&mesh](TestWire& wire) -> port::Task<void> {
        co_await wire.until_gone();
        mesh.engine().gone_at.push_back(mesh.world.now());
      },
      TestEngine::Body::kLeave);
  TestClient client = mesh.connect();
  const std::string body = R"({"model":"m","messages":[{"content":")" + std::string(9000, 'x');
  client.send(chat(body + R"("}]})").substr(0, 5000));
  mesh.world.run_for(1s);
  expect_cancelled(mesh, client);
}

TEST(Cancel, WithAPipelinedRequestBehind) {
  TestMesh mesh;
  mesh.engine().holds();
  TestClient client = mesh.connect();
  client.send(chat(kPlainBody) + chat(kPlainBody));
  mesh.world.run_for(1s);
  expect_cancelled(mesh, client);
  EXPECT_EQ(mesh.engine().asked(), 1u);
}

TEST(Cancel, AHalfClosedClientIsGoneUnlessItIsAllowed) {
  TestMesh mesh;
  mesh.engine().holds();
  TestClient client = mesh.connect();
  client.send(chat(kPlainBody));
  client.half_close();
  mesh.world.settle();
  EXPECT_EQ(mesh.engine().gone_at.size(), 1u);

  config::Settings settings;
  settings.half_close_cancels = false;
  TestMesh lenient(1, settings);
  lenient.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.sleep(1s);
    co_await wire.write(json_answer(kPlainAnswer));
  });
  TestClient half = lenient.connect();
  half.send(chat(kPlainBody));
  half.half_close();
  EXPECT_EQ(half.answer().status, 200);
}

// Engine e0 streams as fast as it can be read.
TestScript floods(std::size_t& written) {
  return [&written](TestWire& wire) -> port::Task<void> {
    bool taken = co_await wire.write(kSseHead);
    const std::string event = chunk(delta(std::string(1000, 'x')));
    while (taken) {
      taken = co_await wire.write(event);
      written = wire.written;
    }
  };
}

TEST(SlowClient, PausesTheReadingOfTheEngine) {
  std::size_t written = 0;
  config::Settings settings;
  settings.stream_buffer_bytes_max = 64 << 10;
  TestMesh mesh(1, settings);
  mesh.engine().plays(floods(written));
  TestClient client = mesh.connect();
  client.send(chat(kStreamBody));
  mesh.world.run_for(10s);
  const std::size_t stopped_at = written;
  EXPECT_LE(stopped_at, 300'000u) << "two windows, the buffer and one read of 64 KiB each";
  mesh.world.run_for(10s);
  EXPECT_EQ(written, stopped_at);
  for (int i = 0; i < 3; ++i) client.read_bytes(60'000);
  mesh.world.run_for(1s);
  EXPECT_GT(written, stopped_at) << "goes on when the client does";
  EXPECT_LE(written, stopped_at + 250'000);
}

TEST(SlowClient, PausesAPlainAnswerToo) {
  std::size_t written = 0;
  config::Settings settings;
  settings.stream_buffer_bytes_max = 64 << 10;
  TestMesh mesh(1, settings);
  mesh.engine().plays([&written](TestWire& wire) -> port::Task<void> {
    bool taken = co_await wire.write(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n");
    while (taken) {
      taken = co_await wire.write(chunk(std::string(1000, ' ')));
      written = wire.written;
    }
  });
  TestClient client = mesh.connect();
  client.send(chat(kPlainBody));
  mesh.world.run_for(10s);
  EXPECT_LE(written, 300'000u);
  client.leave();
}

TEST(SlowEngine, SlowsTheClientsBodyDown) {
  config::Settings settings;
  settings.prompt_bytes_wanted = 100;
  TestMesh mesh(1, settings);
  mesh.engine().plays(
      [](TestWire& wire) -> port::Task<void> {
        co_await wire.sleep(10s);
        if (!co_await wire.take_body()) co_return;
        co_await wire.write(json_answer(kPlainAnswer));
      },
      TestEngine::Body::kLeave);
  const std::string request =
      chat(R"({"model":"m","messages":[{"content":")" + std::string(4 << 20, 'x') + R"("}]})");
  TestClient client = mesh.connect();
  const std::size_t taken = client.send_what_fits(request);
  EXPECT_LT(taken, std::size_t{1} << 20) << "what the engine does not take is not read";
  mesh.world.run_for(11s);
  client.send(std::string_view(request).substr(taken));
  EXPECT_EQ(client.answer().body, kPlainAnswer);
}

TEST(SlowClient, IsCutWhenItReadsNothing) {
  std::size_t written = 0;
  TestMesh mesh;
  mesh.engine().plays(floods(written));
  TestClient client = mesh.connect();
  client.send(chat(kStreamBody));
  mesh.world.run_for(29s);
  EXPECT_EQ(mesh.cell().in_flight.load(), 1);
  mesh.world.run_for(2s);
  EXPECT_EQ(mesh.cell().in_flight.load(), 0);
  EXPECT_EQ(mesh.server.connections(), 0u);
  client.read();
  EXPECT_TRUE(client.reset) << "not a clean end";
  EXPECT_TRUE(mesh.counted("infermesh_clients_stalled_total 1")) << mesh.metrics_text();
  EXPECT_TRUE(mesh.outcomes.empty()) << "not the engine's fault";
}

TEST(SlowClient, IsNotCutWhileItReadsALittle) {
  std::size_t written = 0;
  TestMesh mesh;
  mesh.engine().plays(floods(written));
  TestClient client = mesh.connect();
  client.send(chat(kStreamBody));
  for (int i = 0; i < 10; ++i) {
    mesh.world.run_for(20s);
    client.read_bytes(1000);
  }
  EXPECT_EQ(mesh.cell().in_flight.load(), 1);
}

TEST(SlowClient, MayBeSlowWithTheEndOfAnAnswerToo) {
  TestMesh mesh;
  const std::string reply = R"({"text":")" + std::string(200'000, 'x') + R"("})";
  mesh.engine().answers(json_answer(reply));
  TestClient client = mesh.connect();
  client.send(chat(kPlainBody));
  mesh.world.run_for(20s);
  EXPECT_EQ(client.answer().body, reply);
  client.send(chat(kPlainBody));
  mesh.world.run_for(31s);
  EXPECT_EQ(mesh.server.connections(), 0u) << "but it must read";
}

}  // namespace
}  // namespace infermesh::data
