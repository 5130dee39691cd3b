// The end of a shard: who is idle goes, who runs may finish, who does not finish is stopped.
#include <gtest/gtest.h>

#include "data/server/testing_mesh.h"

namespace infermesh::data {
namespace {

TestScript answers_after(Duration time, std::string text) {
  return [time, text](TestWire& wire) -> port::Task<void> {
    co_await wire.sleep(time);
    co_await wire.write(text);
  };
}

TEST(Drain, IdleConnectionsEndAtOnceAndNoNewOnesCome) {
  TestMesh mesh;
  TestClient idle = mesh.connect();
  mesh.world.settle();
  bool done = false;
  mesh.server.drain(mesh.world.now() + 30s, [&] { done = true; });
  EXPECT_TRUE(idle.closed());
  EXPECT_FALSE(idle.reset);
  EXPECT_TRUE(done);
  EXPECT_FALSE(mesh.world.run(mesh.world.loop().connect("127.0.0.1", 6400, mesh.world.now() + 1s)));
}

TEST(Drain, RunningRequestsFinishAndSayThatTheConnectionEnds) {
  TestMesh mesh;
  mesh.engine().plays(answers_after(5s, json_answer(kPlainAnswer)));
  TestClient client = mesh.connect();
  client.send(chat(kPlainBody));
  mesh.world.settle();
  bool done = false;
  mesh.server.drain(mesh.world.now() + 30s, [&] { done = true; });
  mesh.world.run_for(4s);
  EXPECT_FALSE(client.closed());
  EXPECT_FALSE(done);
  const TestAnswer answer = client.answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, kPlainAnswer);
  EXPECT_EQ(answer.header("connection"), "close");
  mesh.world.run_for(2s);
  EXPECT_TRUE(client.closed());
  EXPECT_TRUE(done);
}

TEST(Drain, WhatDoesNotFinishIsStoppedAtTheDeadline) {
  TestMesh mesh;
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    if (wire.body == kStreamBody) co_await wire.write(kSseHead + chunk(delta("a")));
    co_await wire.until_gone();
  });
  TestClient plain = mesh.connect(), stream = mesh.connect();
  plain.send(chat(kPlainBody));
  stream.send(chat(kStreamBody));
  bool done = false;
  mesh.server.drain(mesh.world.now() + 30s, [&] { done = true; });
  mesh.world.run_for(29999ms);
  EXPECT_EQ(mesh.cell().in_flight.load(), 2);
  EXPECT_FALSE(done);
  mesh.world.run_for(2ms);
  EXPECT_EQ(plain.peek().status, 503);
  EXPECT_TRUE(plain.peek().has(R"("code":"draining")")) << plain.input;
  EXPECT_EQ(plain.peek().header("connection"), "close");
  EXPECT_TRUE(stream.peek().has("draining")) << stream.input;
  EXPECT_FALSE(stream.peek().whole);
  EXPECT_EQ(mesh.cell().in_flight.load(), 0);
  mesh.world.run_for(2s);
  EXPECT_TRUE(plain.closed());
  EXPECT_TRUE(stream.closed());
  EXPECT_TRUE(done);
}

TEST(Drain, WhoWaitsInTheQueueMayStillBeServed) {
  TestMesh mesh;
  mesh.endpoint(0).in_flight_max = 1;
  mesh.publish();
  mesh.engine().plays(answers_after(5s, json_answer(kPlainAnswer)));
  TestClient first = mesh.connect(), second = mesh.connect();
  first.send(chat(kPlainBody));
  second.send(chat(kPlainBody));
  bool done = false;
  mesh.server.drain(mesh.world.now() + 30s, [&] { done = true; });
  EXPECT_EQ(first.answer().status, 200);
  EXPECT_EQ(second.answer().status, 200);
  mesh.world.run_for(2s);
  EXPECT_TRUE(done);
}

TEST(Drain, ARequestThatHasJustArrivedIsServed) {
  TestMesh mesh;
  mesh.engine().plays(answers_after(1s, json_answer(kPlainAnswer)));
  TestClient client = mesh.connect();
  mesh.world.settle();
  // Not settled in between: the bytes are there, and the connection has not seen them yet.
  client.send_unseen(chat(kPlainBody));
  mesh.server.drain(mesh.world.now() + 30s, [] {});
  const TestAnswer answer = client.answer();
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.header("connection"), "close");
}

TEST(Drain, AnIdleConnectionMayBeGivenTimeForTheRequestThatIsOnItsWay) {
  TestMesh mesh;
  mesh.engine().plays(answers_after(1s, json_answer(kPlainAnswer)));
  TestClient late = mesh.connect(), silent = mesh.connect();
  mesh.world.settle();
  bool done = false;
  mesh.server.drain(mesh.world.now() + 30s, [&] { done = true; }, 10s);
  mesh.world.run_for(9s);
  EXPECT_FALSE(late.closed());
  EXPECT_FALSE(silent.closed());
  late.send(chat(kPlainBody));
  const TestAnswer answer = late.answer();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("connection"), "close");
  mesh.world.run_for(3s);
  EXPECT_TRUE(late.closed());
  EXPECT_TRUE(silent.closed());
  EXPECT_FALSE(silent.reset);
  EXPECT_TRUE(done);
}

TEST(Drain, AConnectionWhoseAnswerHadBegunBeforeStaysForItsNextRequest) {
  TestMesh mesh;
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.write(kSseHead + chunk(delta("a")));
    co_await wire.sleep(20s);
    co_await wire.write(chunk(kDone) + kLastChunkText);
  });
  TestClient client = mesh.connect();
  client.send(chat(kStreamBody));
  mesh.world.run_for(1s);
  mesh.engine().answers(json_answer(kPlainAnswer));
  bool done = false;
  mesh.server.drain(mesh.world.now() + 60s, [&] { done = true; }, 10s);
  EXPECT_TRUE(client.answer().whole);
  mesh.world.run_for(5s);
  EXPECT_FALSE(client.closed());
  client.send(chat(kPlainBody));
  EXPECT_EQ(client.answer().header("connection"), "close");
  mesh.world.run_for(2s);
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace infermesh::data
