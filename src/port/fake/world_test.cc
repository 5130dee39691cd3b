#include "port/fake/world.h"

#include <gtest/gtest.h>

namespace infermesh::port::fake {
namespace {

struct Pair {
  std::unique_ptr<Listener> listener;
  StreamPtr client;
  StreamPtr server;
};

Pair connect(World& world) {
  Pair pair;
  pair.listener = world.network().listen("127.0.0.1", 8000).value();
  world.loop().spawn([](World& w, Pair& p) -> Task<void> {
    p.client = (co_await w.loop().connect("localhost", 8000, w.now() + 1s)).value();
  }(world, pair));
  pair.server = world.run(pair.listener->accept()).value();
  EXPECT_TRUE(world.run_until([&] { return pair.client != nullptr; }));
  return pair;
}

IoResult write(Stream& stream, std::string_view text) {
  return stream.try_write({&text, 1});
}

std::string read(Stream& stream) {
  std::string text(100, '\0');
  const IoResult result = stream.try_read(text);
  text.resize(result.bytes);
  return result.status == IoStatus::kOk ? text : "";
}

IoStatus status_of_read(Stream& stream) {
  char byte = 0;
  return stream.try_read({&byte, 1}).status;
}

TEST(World, TimePassesOnlyBetweenTimersAndInTheirOrder) {
  World world;
  std::string order;
  const auto sleeper = [](World& w, Duration time, char name, std::string& out) -> Task<void> {
    co_await w.loop().sleep_until(w.now() + time);
    out += name;
  };
  world.loop().spawn(sleeper(world, 20ms, 'b', order));
  world.loop().spawn(sleeper(world, 10ms, 'a', order));
  world.loop().spawn(sleeper(world, 1h, 'c', order));
  world.run_for(15ms);
  EXPECT_EQ(order, "a");
  EXPECT_EQ(world.now(), Instant(15ms));
  EXPECT_TRUE(world.run_until([&] { return order.size() == 3; }, 2h));
  EXPECT_EQ(order, "abc");
  EXPECT_EQ(world.now(), Instant(1h));
}

TEST(World, SameSeedGivesTheSameEntropy) {
  World a(7);
  World b(7);
  World c(8);
  const auto first = a.loop().entropy();
  EXPECT_EQ(first, b.loop().entropy());
  EXPECT_NE(first, c.loop().entropy());
}

TEST(World, EndsWithTasksStillSuspended) {
  auto alive = std::make_shared<int>(0);
  {
    World world;
    auto pair = connect(world);
    world.loop().spawn([](World& w, std::shared_ptr<int>) -> Task<void> {
      co_await w.loop().sleep_until(w.now() + 1h);
    }(world, alive));
    world.loop().spawn([](StreamPtr stream, std::shared_ptr<int>) -> Task<void> {
      co_await stream->readable();
    }(std::move(pair.client), alive));
    world.settle();
    EXPECT_EQ(alive.use_count(), 3);
  }
  EXPECT_EQ(alive.use_count(), 1);
}

TEST(Network, CarriesBytesBothWaysAndTheEnd) {
  World world;
  auto pair = connect(world);
  EXPECT_EQ(pair.client->peer(), "127.0.0.1:8000");
  EXPECT_EQ(status_of_read(*pair.server), IoStatus::kWouldBlock);
  EXPECT_EQ(write(*pair.client, "ping").bytes, 4u);
  EXPECT_EQ(read(*pair.server), "ping");
  EXPECT_EQ(write(*pair.server, "pong").bytes, 4u);
  pair.server->close(CloseMode::kGraceful);
  EXPECT_EQ(read(*pair.client), "pong");
  EXPECT_EQ(status_of_read(*pair.client), IoStatus::kEnd);
  EXPECT_EQ(write(*pair.client, "late").status, IoStatus::kError);
}

TEST(Network, HalfClosedEndGoesOnReading) {
  World world;
  auto pair = connect(world);
  pair.client->close(CloseMode::kSendOnly);
  EXPECT_EQ(status_of_read(*pair.server), IoStatus::kEnd);
  EXPECT_EQ(write(*pair.server, "answer").bytes, 6u);
  EXPECT_EQ(read(*pair.client), "answer");
  EXPECT_EQ(write(*pair.client, "x").status, IoStatus::kError);
}

TEST(Network, ResetDropsWhatIsUnread) {
  World world;
  auto pair = connect(world);
  write(*pair.server, "unfinished");
  pair.server->close(CloseMode::kReset);
  EXPECT_EQ(status_of_read(*pair.client), IoStatus::kError);
  EXPECT_EQ(world.network().connections_open("127.0.0.1:8000"), 0u);
}

TEST(Network, ClosingWithUnreadInputResets) {
  World world;
  auto pair = connect(world);
  write(*pair.client, "more");
  pair.server->close(CloseMode::kGraceful);
  EXPECT_EQ(status_of_read(*pair.client), IoStatus::kError);
}

TEST(Network, DelaysBytesByItsLatency) {
  World world;
  world.network().set_latency(5ms);
  auto pair = connect(world);
  EXPECT_EQ(world.now(), Instant(10ms)) << "a connect is a round trip";
  write(*pair.client, "ping");
  EXPECT_EQ(status_of_read(*pair.server), IoStatus::kWouldBlock);
  EXPECT_EQ(world.run(pair.server->readable()), IoStatus::kOk);
  EXPECT_EQ(world.now(), Instant(15ms));
  EXPECT_EQ(read(*pair.server), "ping");
}

TEST(Network, PausesAWriterWhenTheWindowIsFull) {
  World world;
  world.network().set_window(4);
  auto pair = connect(world);
  EXPECT_EQ(write(*pair.client, "abcdef").bytes, 4u);
  EXPECT_EQ(write(*pair.client, "ef").status, IoStatus::kWouldBlock);
  bool writable = false;
  pair.client->when_writable([&](IoStatus status) { writable = status == IoStatus::kOk; });
  world.settle();
  EXPECT_FALSE(writable);
  EXPECT_EQ(read(*pair.server), "abcd");
  world.settle();
  EXPECT_TRUE(writable);
  EXPECT_EQ(write(*pair.client, "ef").bytes, 2u);
}

TEST(Network, CancelEndsWaitsAndKeepsTheStream) {
  World world;
  auto pair = connect(world);
  IoStatus status = IoStatus::kOk;
  pair.client->when_readable([&](IoStatus got) { status = got; });
  pair.client->cancel();
  world.settle();
  EXPECT_EQ(status, IoStatus::kCancelled);
  write(*pair.server, "still here");
  EXPECT_EQ(read(*pair.client), "still here");
}

TEST(Network, CallsNothingBackAfterAStreamIsGone) {
  World world;
  auto pair = connect(world);
  bool called = false;
  pair.client->when_readable([&](IoStatus) { called = true; });
  write(*pair.server, "x");
  pair.client.reset();
  world.settle();
  EXPECT_FALSE(called);
}

TEST(Network, RefusesWhereNobodyListensAndTimesOutInABlackHole) {
  World world;
  const auto connect_to = [&](std::uint16_t port) {
    return world.run(world.loop().connect("127.0.0.1", port, world.now() + 2s));
  };
  const auto refused = connect_to(8000);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().detail, "127.0.0.1:8000: connection refused");
  EXPECT_EQ(world.now(), Instant{});
  world.network().black_hole("127.0.0.1:8001");
  const auto silent = connect_to(8001);
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().detail, "127.0.0.1:8001: connect timed out");
  EXPECT_EQ(world.now(), Instant(2s));
}

TEST(Network, CutResetsTheConnectionsOfAnAddress) {
  World world;
  auto pair = connect(world);
  world.network().cut("127.0.0.1:8000");
  EXPECT_EQ(status_of_read(*pair.client), IoStatus::kError);
  EXPECT_EQ(status_of_read(*pair.server), IoStatus::kError);
}

TEST(Network, ListensOnceAndStopsWhenClosed) {
  World world;
  auto first = world.network().listen("127.0.0.1", 8000);
  ASSERT_TRUE(first);
  EXPECT_EQ(world.network().listen("127.0.0.1", 8000).error().code, ErrorCode::kConflict);
  (*first)->close();
  EXPECT_EQ(world.run((*first)->accept()).error().code, ErrorCode::kUnavailable);
  EXPECT_TRUE(world.network().listen("127.0.0.1", 8000));
  const auto any = world.network().listen("127.0.0.1", 0);
  EXPECT_NE((*any)->address(), "127.0.0.1:0");
}

}  // namespace
}  // namespace infermesh::port::fake
