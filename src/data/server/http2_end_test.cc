// How streams of HTTP/2 slow down and end: clients that leave, windows, drains.
#include <gtest/gtest.h>

#include "data/server/testing_http2.h"
#include "data/server/testing_mesh.h"

namespace infermesh::data {
namespace {

// ---- leaving

void expect_cancelled(TestMesh& mesh, Http2Client& client) {
  ASSERT_EQ(mesh.cell().in_flight.load(), 1);
  client.send(reset(1));
  mesh.world.settle();
  EXPECT_EQ(mesh.engine().gone_at.size(), 1u);
  EXPECT_EQ(mesh.cell().in_flight.load(), 0);
  const auto records = mesh.shard.decisions.recent(1);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0]->status, 499);
  EXPECT_TRUE(mesh.counted(R"(infermesh_cancelled_total{api="chat"} 1)"));
  client.get(3, "/v1/models");
  EXPECT_EQ(client.wait(3).status(), 200) << "the connection goes on";
}

TestScript begins(TestMesh& mesh, std::string text) {
  return [&mesh, text](TestWire& wire) -> port::Task<void> {
    co_await wire.write(text);
    co_await wire.until_gone();
    mesh.engine().gone_at.push_back(mesh.world.now());
  };
}

TEST(Http2Cancel, AResetReachesTheEngineAtEachPhase) {
  const std::string phases[] = {"", kSseHead, kSseHead + chunk(delta("a")),
                                json_answer(kPlainAnswer).substr(0, 90)};
  for (const std::string& said : phases) {
    TestMesh mesh;
    mesh.engine().plays(begins(mesh, said));
    Http2Client client(mesh.world);
    client.greet();
    client.post(1, said.starts_with(kSseHead) ? kStreamBody : kPlainBody);
    mesh.world.run_for(1s);
    expect_cancelled(mesh, client);
  }
}

TEST(Http2Cancel, WhileTheBodyIsStillSent) {
  config::Settings settings;
  settings.prompt_bytes_wanted = 100;
  TestMesh mesh(1, settings);
  mesh.engine().plays(begins(mesh, ""), TestEngine::Body::kLeave);
  Http2Client client(mesh.world);
  client.greet();
  client.send(
      frame(kHeaders, kEndHeaders, 1, chat_head()) +
      frame(kData, 0, 1, R"({"model":"m","messages":[{"content":")" + std::string(5000, 'x')));
  mesh.world.run_for(1s);
  expect_cancelled(mesh, client);
}

TEST(Http2Cancel, TheEndOfTheConnectionCancelsAllItsStreams) {
  TestMesh mesh;
  mesh.engine().holds();
  Http2Client client(mesh.world);
  client.greet();
  for (const std::uint32_t stream : {1u, 3u, 5u}) client.post(stream, kPlainBody);
  mesh.world.run_for(1s);
  ASSERT_EQ(mesh.cell().in_flight.load(), 3);
  client.raw.leave();
  mesh.world.settle();
  EXPECT_EQ(mesh.cell().in_flight.load(), 0);
  EXPECT_EQ(mesh.server.connections(), 0u);
}

TEST(Http2Cancel, InTheQueue) {
  TestMesh mesh;
  mesh.endpoint(0).in_flight_max = 1;
  mesh.publish();
  mesh.engine().holds();
  Http2Client client(mesh.world);
  client.greet();
  client.post(1, kPlainBody);
  client.post(3, kPlainBody);
  mesh.world.run_for(1s);
  EXPECT_EQ(mesh.shard.admission.waiting(PoolId(0)), 1u);
  client.send(reset(3));
  EXPECT_EQ(mesh.shard.admission.waiting(PoolId(0)), 0u);
}

// ---- flow control

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

TEST(Http2Flow, AClientThatDoesNotReadPausesTheEngineButNotOtherStreams) {
  std::size_t written = 0;
  config::Settings settings;
  settings.stream_buffer_bytes_max = 64 << 10;
  TestMesh mesh(1, settings);
  mesh.engine().plays(floods(written));
  Http2Client client(mesh.world);
  client.greet();
  client.post(1, kStreamBody);
  mesh.world.run_for(1s);
  client.read();
  EXPECT_EQ(client.answers[1].body.size(), 65535u) << "the client's window";
  const std::size_t stopped_at = written;
  EXPECT_LE(stopped_at, 400'000u);
  mesh.world.run_for(10s);
  client.send(window(0, 1 << 20));
  client.get(3, "/v1/models");
  EXPECT_EQ(client.wait(3).status(), 200);
  EXPECT_EQ(written, stopped_at);
  client.send(window(1, 200'000));
  mesh.world.run_for(1s);
  client.read();
  EXPECT_EQ(client.answers[1].body.size(), 265535u);
  EXPECT_GT(written, stopped_at);
  client.send(reset(1));
}

TEST(Http2Flow, AStreamThatIsNotReadIsCutAfterAWhile) {
  std::size_t written = 0;
  TestMesh mesh;
  mesh.engine().plays(floods(written));
  Http2Client client(mesh.world);
  client.greet();
  client.post(1, kStreamBody);
  mesh.world.run_for(29s);
  EXPECT_EQ(mesh.cell().in_flight.load(), 1);
  mesh.world.run_for(3s);
  EXPECT_EQ(mesh.cell().in_flight.load(), 0);
  client.read();
  EXPECT_TRUE(client.answers[1].reset);
  EXPECT_FALSE(client.goaway) << "the connection is as good as it was";
  EXPECT_TRUE(mesh.counted("infermesh_clients_stalled_total 1")) << mesh.metrics_text();
}

TEST(Http2Flow, TheRestOfAFinishedAnswerIsCutAfterAWhileToo) {
  TestMesh mesh;
  const std::string reply = R"({"text":")" + std::string(80'000, 'x') + R"("})";
  mesh.engine().answers(json_answer(reply));
  Http2Client client(mesh.world);
  client.greet();
  client.post(1, kPlainBody);
  mesh.world.run_for(20s);
  client.send(window(0, 100) + window(1, 100));
  mesh.world.run_for(20s);
  client.read();
  EXPECT_FALSE(client.answers[1].reset) << "it reads, if slowly";
  mesh.world.run_for(15s);
  client.read();
  EXPECT_TRUE(client.answers[1].reset);
}

TEST(Http2Flow, ASlowEngineSlowsTheClientsBodyDown) {
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
  Http2Client client(mesh.world);
  client.greet();
  client.send(frame(kHeaders, kEndHeaders, 1, chat_head()) +
              frame(kData, 0, 1, R"({"model":"m","messages":[{"content":")"));
  std::size_t sent = 0, granted = 128 << 10;
  for (int i = 0; i < 200; ++i) {
    granted = 128 << 10;
    for (const auto& got : client.frames) {
      if (got.type == kWindow && got.stream == 1) granted += number_at(got.payload, 0);
    }
    if (sent + 8192 + 100 > granted) break;
    client.send(frame(kData, 0, 1, std::string(8192, 'x')));
    sent += 8192;
  }
  EXPECT_LT(sent, 1u << 20) << "what the engine does not take is not asked for";
  mesh.world.run_for(11s);
  client.send(frame(kData, kEndStream, 1, R"("}]})"));
  EXPECT_EQ(client.wait(1).body, kPlainAnswer);
}

// ---- the end of a connection

TestScript answers_after(Duration time) {
  return [time](TestWire& wire) -> port::Task<void> {
    co_await wire.sleep(time);
    co_await wire.write(json_answer(kPlainAnswer));
  };
}

TEST(Http2Drain, WhatIsRunningIsFinishedAndNothingNewIsTaken) {
  TestMesh mesh;
  mesh.engine().plays(answers_after(5s));
  Http2Client client(mesh.world);
  client.greet();
  client.post(1, kPlainBody);
  bool done = false;
  mesh.server.drain(mesh.world.now() + 30s, [&done] { done = true; });
  mesh.world.run_for(4s);
  client.read();
  EXPECT_FALSE(client.goaway) << "some clients read nothing after it";
  EXPECT_EQ(client.wait(1).body, kPlainAnswer);
  mesh.world.settle();
  client.read();
  EXPECT_EQ(client.goaway, 0u);
  EXPECT_EQ(client.goaway_last, 0x7fffffffu) << "an announcement: what is on its way is taken";
  ASSERT_EQ(client.count(kPing), 1u);
  client.post(3, kPlainBody);
  client.send(frame(kPing, kAck, 0, std::string(8, '\0')));
  mesh.world.settle();
  client.read();
  EXPECT_EQ(client.goaway_last, 3u);
  client.post(5, kPlainBody);
  mesh.world.run_for(6s);
  client.read();
  EXPECT_EQ(client.answers[3].body, kPlainAnswer);
  EXPECT_EQ(client.answers[5].status(), 0);
  EXPECT_TRUE(client.closed());
  mesh.world.run_for(2s);
  EXPECT_TRUE(done);
}

TEST(Http2Drain, ABusyConnectionIsToldWhenHalfTheTimeHasGone) {
  TestMesh mesh;
  mesh.engine().plays(answers_after(20s));
  Http2Client client(mesh.world);
  client.greet();
  client.post(1, kPlainBody);
  mesh.server.drain(mesh.world.now() + 30s, [] {});
  mesh.world.run_for(14s);
  client.read();
  EXPECT_FALSE(client.goaway);
  mesh.world.run_for(3s);
  client.read();
  EXPECT_TRUE(client.goaway);
  EXPECT_EQ(client.goaway_last, 1u);
  mesh.world.run_for(5s);
  client.read();
  EXPECT_EQ(client.answers[1].body, kPlainAnswer);
}

TEST(Http2Drain, AnIdleConnectionEnds) {
  TestMesh mesh;
  Http2Client client(mesh.world);
  client.greet();
  client.get(1, "/v1/models");
  client.wait(1);
  bool done = false;
  mesh.server.drain(mesh.world.now() + 30s, [&done] { done = true; });
  mesh.world.run_for(3s);
  EXPECT_TRUE(client.closed());
  EXPECT_TRUE(done);
}

TEST(Http2Drain, WhatDoesNotEndInTimeIsStopped) {
  TestMesh mesh;
  mesh.engine().holds();
  Http2Client client(mesh.world);
  client.greet();
  client.post(1, kPlainBody);
  bool done = false;
  mesh.server.drain(mesh.world.now() + 5s, [&done] { done = true; });
  mesh.world.run_for(8s);
  client.read();
  EXPECT_EQ(client.answers[1].status(), 503);
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace infermesh::data
