#include "io/event_loop.h"

#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "io/folder.h"
#include "io/signals.h"
#include "port/wakeup.h"

namespace infermesh::io {
namespace {

using port::CloseMode;
using port::IoStatus;
using port::StreamPtr;

// Runs a task on a fresh loop until it ends.
template <typename Body>
void run(Body body) {
  EventLoop loop;
  loop.spawn([](EventLoop& running, Body& task) -> port::Task<void> {
    co_await task(running);
    running.stop();
  }(loop, body));
  loop.run();
}

struct Pair {
  StreamPtr client, server;
};

port::Task<Pair> connected(EventLoop& loop) {
  auto listener = listen(loop, "127.0.0.1", 0);
  EXPECT_TRUE(listener) << listener.error().detail;
  const auto address = parse_host_port((*listener)->address());
  auto client = co_await loop.connect("127.0.0.1", address->port, loop.now() + 5s);
  auto server = co_await (*listener)->accept();
  EXPECT_TRUE(client && server);
  co_return Pair{std::move(*client), std::move(*server)};
}

TEST(EventLoop, BytesCrossAConnectionAndItsEndIsSeen) {
  run([](EventLoop& loop) -> port::Task<void> {
    Pair pair = co_await connected(loop);
    char buffer[16];
    EXPECT_EQ(pair.server->try_read(buffer).status, IoStatus::kWouldBlock);
    const std::string_view pieces[] = {"he", "", "llo"};
    EXPECT_EQ(pair.client->try_write(pieces).bytes, 5u);
    EXPECT_EQ(co_await pair.server->readable(), IoStatus::kOk);
    EXPECT_EQ(pair.server->try_read(buffer).bytes, 5u);
    EXPECT_EQ(std::string_view(buffer, 5), "hello");
    pair.client->close(CloseMode::kSendOnly);
    EXPECT_EQ(co_await pair.server->readable(), IoStatus::kOk);
    EXPECT_EQ(pair.server->try_read(buffer).status, IoStatus::kEnd);
  });
}

// Nagle's algorithm would hold a small event back until the one before it is acknowledged.
TEST(EventLoop, PacketsAreNotHeldBackOnEitherSide) {
  run([](EventLoop& loop) -> port::Task<void> {
    const Pair pair = co_await connected(loop);
    int connections = 0;
    for (int descriptor = 0; descriptor < 1024; ++descriptor) {
      sockaddr_storage peer{};
      socklen_t size = sizeof(peer);
      if (::getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
      int no_delay = 0;
      socklen_t length = sizeof(no_delay);
      if (::getsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &no_delay, &length) != 0) continue;
      ++connections;
      EXPECT_EQ(no_delay, 1) << descriptor;
    }
    EXPECT_EQ(connections, 2);
  });
}

TEST(EventLoop, AResetIsAnErrorNotAnEnd) {
  run([](EventLoop& loop) -> port::Task<void> {
    Pair pair = co_await connected(loop);
    pair.client->close(CloseMode::kReset);
    co_await pair.server->readable();
    char buffer[4];
    EXPECT_EQ(pair.server->try_read(buffer).status, IoStatus::kError);
  });
}

TEST(EventLoop, ADestroyedStreamCallsNobodyBack) {
  run([](EventLoop& loop) -> port::Task<void> {
    Pair pair = co_await connected(loop);
    bool called = false;
    pair.server->when_readable([&](IoStatus) { called = true; });
    pair.server.reset();
    co_await loop.sleep_until(loop.now() + 1ms);
    EXPECT_FALSE(called);
  });
}

TEST(EventLoop, ConnectingToAClosedPortSaysWhy) {
  run([](EventLoop& loop) -> port::Task<void> {
    std::uint16_t port = 0;
    {
      auto listener = listen(loop, "127.0.0.1", 0);
      port = parse_host_port((*listener)->address())->port;
    }
    const auto stream = co_await loop.connect("127.0.0.1", port, loop.now() + 5s);
    EXPECT_FALSE(stream);
    if (!stream) {
      EXPECT_EQ(stream.error().code, ErrorCode::kUpstreamConnectFailed);
      EXPECT_NE(stream.error().detail.find("refused"), std::string::npos) << stream.error().detail;
    }
  });
}

TEST(EventLoop, TimersFireOnTimeAndPostsArriveFromOtherThreads) {
  run([](EventLoop& loop) -> port::Task<void> {
    const Instant begin = loop.now();
    port::Wakeup wake;
    port::Timer timer([&] { wake.set(); });
    loop.arm(timer, begin + 30ms);
    co_await wake.wait();
    EXPECT_GE(loop.now() - begin, Duration(30ms));
    std::thread other([&] { loop.post([&] { wake.set(); }); });
    co_await wake.wait();
    other.join();
  });
}

TEST(EventLoop, ATaskSeesTheTimeOfItsResumptionUntilItAsksForTheExactOne) {
  run([](EventLoop& loop) -> port::Task<void> {
    const Instant resumed = loop.now();
    while (std::chrono::steady_clock::now().time_since_epoch() == resumed.time_since_epoch()) {
    }
    EXPECT_EQ(loop.now(), resumed);
    const Instant exact = loop.exact_now();
    EXPECT_GT(exact, resumed);
    EXPECT_EQ(loop.now(), exact);
    co_await loop.sleep_until(exact + 2ms);
    EXPECT_GE(loop.now(), exact + 2ms);
    const auto apart = loop.wall_now() - std::chrono::system_clock::now();
    EXPECT_LT(std::chrono::abs(apart), 1s);
  });
}

TEST(EventLoop, AnEndThatCameWithTheLastBytesIsSeenWithoutANewEvent) {
  run([](EventLoop& loop) -> port::Task<void> {
    Pair pair = co_await connected(loop);
    const std::string_view text = "bye";
    pair.client->try_write({&text, 1});
    pair.client->close(CloseMode::kGraceful);
    co_await pair.server->readable();
    co_await loop.sleep_until(loop.now() + 1ms);  // the end has come too, in the same event or not
    char buffer[16];
    EXPECT_EQ(pair.server->try_read(buffer).bytes, 3u);
    EXPECT_EQ(co_await pair.server->readable(), IoStatus::kOk);
    EXPECT_EQ(pair.server->try_read(buffer).status, IoStatus::kEnd);
  });
}

TEST(EventLoop, BytesThatWereNotReadAreStillReadable) {
  run([](EventLoop& loop) -> port::Task<void> {
    Pair pair = co_await connected(loop);
    const std::string_view text = "abcdef";
    pair.client->try_write({&text, 1});
    char buffer[4];
    co_await pair.server->readable();
    EXPECT_EQ(pair.server->try_read(buffer).bytes, 4u);
    EXPECT_EQ(co_await pair.server->readable(), IoStatus::kOk) << "two are left";
    EXPECT_EQ(pair.server->try_read(buffer).bytes, 2u);
    port::Wakeup readable;
    bool called = false;
    pair.server->when_readable([&](IoStatus) {
      called = true;
      readable.set();
    });
    co_await loop.sleep_until(loop.now() + 1ms);
    EXPECT_FALSE(called);
    pair.client->try_write({&text, 1});
    co_await readable.wait();
    EXPECT_EQ(pair.server->try_read(buffer).bytes, 4u);
  });
}

TEST(EventLoop, AFullSocketTakesMoreWhenThePeerHasRead) {
  run([](EventLoop& loop) -> port::Task<void> {
    Pair pair = co_await connected(loop);
    const std::string block(1 << 20, 'x');
    const std::string_view piece = block;
    std::size_t sent = 0;
    while (true) {
      const auto result = pair.client->try_write({&piece, 1});
      if (result.status != IoStatus::kOk) break;
      sent += result.bytes;
    }
    port::Wakeup writable;
    IoStatus told = IoStatus::kError;
    pair.client->when_writable([&](IoStatus status) {
      told = status;
      writable.set();
    });
    std::string into(1 << 20, 0);
    for (std::size_t got = 0; got < sent;) {
      const auto result = pair.server->try_read(into);
      if (result.status == IoStatus::kWouldBlock) {
        co_await pair.server->readable();
      } else {
        got += result.bytes;
      }
    }
    co_await writable.wait();
    EXPECT_EQ(told, IoStatus::kOk);
    EXPECT_EQ(pair.client->try_write({&piece, 1}).status, IoStatus::kOk);
  });
}

TEST(EventLoop, CancelAndCloseEndAWait) {
  run([](EventLoop& loop) -> port::Task<void> {
    Pair pair = co_await connected(loop);
    IoStatus told = IoStatus::kOk;
    pair.server->when_readable([&](IoStatus status) { told = status; });
    pair.server->cancel();
    EXPECT_EQ(told, IoStatus::kOk) << "not from within";
    co_await loop.sleep_until(loop.now() + 1ms);
    EXPECT_EQ(told, IoStatus::kCancelled);
    told = IoStatus::kOk;
    pair.server->when_readable([&](IoStatus status) { told = status; });
    pair.server->close(CloseMode::kGraceful);
    co_await loop.sleep_until(loop.now() + 1ms);
    EXPECT_EQ(told, IoStatus::kCancelled);
    EXPECT_EQ(co_await pair.server->readable(), IoStatus::kError);
  });
}

TEST(EventLoop, ACallbackMayDestroyTheStreamThatBothWaitsAreOf) {
  run([](EventLoop& loop) -> port::Task<void> {
    Pair pair = co_await connected(loop);
    bool written = false;
    pair.server->when_readable([&](IoStatus) { pair.server.reset(); });
    pair.server->when_writable([&](IoStatus) { written = true; });
    pair.server->cancel();
    co_await loop.sleep_until(loop.now() + 1ms);
    EXPECT_EQ(pair.server, nullptr);
    EXPECT_FALSE(written);
  });
}

TEST(EventLoop, NamesAreLookedUp) {
  run([](EventLoop& loop) -> port::Task<void> {
    auto listener = listen(loop, "127.0.0.1", 0);
    const auto address = parse_host_port((*listener)->address());
    EXPECT_TRUE(co_await loop.connect("localhost", address->port, loop.now() + 5s));
    const auto none = co_await loop.connect("no.such.name.invalid", 1, loop.now() + 20s);
    EXPECT_FALSE(none);
    const std::string why = none ? "" : none.error().detail;
    EXPECT_EQ(why.find("no.such.name.invalid: "), 0u) << why;
  });
}

TEST(EventLoop, AConnectThatNobodyAnswersEndsAtItsDeadline) {
  run([](EventLoop& loop) -> port::Task<void> {
    // A listener that accepts nothing and whose queue is full leaves the next one waiting.
    const int full = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    auto bound = *SocketAddress::from_literal("127.0.0.1", 0);
    EXPECT_EQ(::bind(full, bound.raw(), bound.size), 0);
    EXPECT_EQ(::listen(full, 0), 0);
    ::getsockname(full, bound.raw(), &bound.size);
    std::vector<StreamPtr> waiting;
    Error last;
    const Instant begin = loop.now();
    for (int i = 0; i < 4 && last.detail.empty(); ++i) {
      auto stream = co_await loop.connect("127.0.0.1", bound.port(), loop.now() + 50ms);
      if (stream) {
        waiting.push_back(std::move(*stream));
      } else {
        last = stream.error();
      }
    }
    EXPECT_NE(last.detail.find("timed out"), std::string::npos) << last.detail;
    EXPECT_GE(loop.now() - begin, Duration(50ms));
    ::close(full);
  });
}

TEST(EventLoop, SleepsToTheMillisecondAndArmsToTheTick) {
  run([](EventLoop& loop) -> port::Task<void> {
    const Instant until = loop.now() + 3ms;
    co_await loop.sleep_until(until);
    EXPECT_GE(loop.now(), until);
  });
}

TEST(EventLoop, WhatStillWaitsWhenItEndsIsFreed) {
  struct Witness {
    explicit Witness(int& alive) : count(alive) { ++count; }
    ~Witness() { --count; }
    int& count;
  };
  int alive = 0;
  StreamPtr client;
  {
    EventLoop loop;
    loop.spawn([](EventLoop& running, int& count, StreamPtr& kept) -> port::Task<void> {
      const Witness witness(count);
      Pair pair = co_await connected(running);
      kept = std::move(pair.client);
      running.post([&running] { running.stop(); });
      co_await pair.server->readable();
    }(loop, alive, client));
    loop.spawn([](EventLoop& running, int& count) -> port::Task<void> {
      const Witness witness(count);
      co_await running.sleep_until(running.now() + 1h);
    }(loop, alive));
    loop.spawn([](EventLoop& running, int& count) -> port::Task<void> {
      const Witness witness(count);
      auto listener = listen(running, "127.0.0.1", 0);
      co_await (*listener)->accept();
    }(loop, alive));
    loop.run();
    EXPECT_EQ(alive, 3);
    client.reset();  // before its loop
  }
  EXPECT_EQ(alive, 0);
}

TEST(Signals, ComeOneByOne) {
  EventLoop loop;
  Signals signals(loop, {SIGUSR1, SIGUSR2});
  std::vector<int> got;
  loop.spawn([](EventLoop& running, Signals& from, std::vector<int>& into) -> port::Task<void> {
    ::kill(::getpid(), SIGUSR1);
    into.push_back(co_await from.next());
    ::kill(::getpid(), SIGUSR2);
    into.push_back(co_await from.next());
    running.stop();
  }(loop, signals, got));
  loop.run();
  EXPECT_EQ(got, (std::vector<int>{SIGUSR1, SIGUSR2}));
}

TEST(EventLoop, ListenersShareAnAddressAndTellItsPort) {
  EventLoop one, two;
  auto first = listen(one, "127.0.0.1", 0, Sharing::kShared);
  ASSERT_TRUE(first);
  const auto address = parse_host_port((*first)->address());
  ASSERT_TRUE(address);
  EXPECT_NE(address->port, 0);
  EXPECT_TRUE(listen(two, "127.0.0.1", address->port, Sharing::kShared));
  const auto alone = listen(two, "127.0.0.1", address->port);
  ASSERT_FALSE(alone);
  EXPECT_NE(alone.error().detail.find("in use"), std::string::npos) << alone.error().detail;
  EXPECT_FALSE(listen(two, "not-an-address", 1));
}

TEST(HostPort, ReadsTheUsualForms) {
  EXPECT_EQ(parse_host_port("127.0.0.1:80")->port, 80);
  EXPECT_EQ(parse_host_port("[::1]:80")->host, "::1");
  EXPECT_EQ(parse_host_port(":80")->host, "");
  for (const char* text : {"", "80", "a:b", "a:70000", "a:"})
    EXPECT_FALSE(parse_host_port(text)) << text;
}

TEST(DiskFolder, SeesChangesAdditionsAndRemovals) {
  const auto path =
      std::filesystem::temp_directory_path() / ("infermesh-folder-" + std::to_string(::getpid()));
  std::filesystem::create_directories(path);
  DiskFolder folder(path.string());
  ASSERT_TRUE(write_file(path / "b.yaml", "two"));
  ASSERT_TRUE(write_file(path / "a.yml", "one"));
  ASSERT_TRUE(write_file(path / "ignored.txt", "no"));
  auto files = folder.read();
  ASSERT_TRUE(files);
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ(files->at(0).name, "a.yml");
  EXPECT_EQ(files->at(1).text, "two");
  ASSERT_TRUE(write_file(path / "b.yaml", "2wo"));
  std::filesystem::remove(path / "a.yml");
  files = folder.read();
  ASSERT_TRUE(files);
  ASSERT_EQ(files->size(), 1u);
  EXPECT_EQ(files->at(0).text, "2wo");
  std::filesystem::remove_all(path);
  EXPECT_FALSE(folder.read());
}

}  // namespace
}  // namespace infermesh::io
