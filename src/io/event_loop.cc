#include "io/event_loop.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/assert.h"
#include "base/text.h"
#include "io/socket_stream.h"

namespace infermesh::io {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Resolver = asio::ip::basic_resolver<tcp, port::Executor>;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable_t<port::Executor>{});
constexpr Duration kTick = 10ms;

// The end of the tick that `when` falls in: timers close together share one wake-up.
Instant end_of_tick(Instant when) {
  const auto ticks = (when.time_since_epoch() + kTick - 1ns) / kTick;
  return Instant(ticks * kTick);
}

std::chrono::steady_clock::time_point to_steady(Instant when) {
  return std::chrono::steady_clock::time_point(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(when.time_since_epoch()));
}

}  // namespace

EventLoop::EventLoop() : tick_(context_.get_executor()) {}
EventLoop::~EventLoop() = default;

void EventLoop::run() {
  const auto work = asio::make_work_guard(context_);
  context_.run();
}

void EventLoop::stop() {
  context_.stop();
}

Instant EventLoop::now() const {
  return Instant(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

WallTime EventLoop::wall_now() const {
  return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
}

std::uint64_t EventLoop::entropy() {
  std::uint64_t bits = 0;
  const ssize_t got = ::getrandom(&bits, sizeof bits, 0);
  IM_ASSERT(got == sizeof bits);
  return bits;
}

void EventLoop::arm(port::Timer& timer, Instant deadline) {
  timers_.arm(timer, deadline == kNever ? kNever : end_of_tick(deadline));
  if (timers_.next() < tick_at_) schedule();
}

void EventLoop::schedule() {
  tick_at_ = timers_.next();
  if (tick_at_ == kNever) return;
  tick_.expires_at(to_steady(tick_at_));
  tick_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    tick_at_ = kNever;
    timers_.run(now());
    if (timers_.next() < tick_at_) schedule();
  });
}

port::Task<void> EventLoop::sleep_until(Instant when) {
  SteadyTimer timer(context_.get_executor());
  timer.expires_at(to_steady(when));
  co_await timer.async_wait(kTuple);
}

void EventLoop::spawn(port::Task<void> task) {
  // A task that lets an exception out is a programmer error; detached would swallow it.
  asio::co_spawn(context_.get_executor(), std::move(task), [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
}

void EventLoop::post(std::function<void()> function) {
  asio::post(context_, std::move(function));
}

port::Task<Result<port::StreamPtr>> EventLoop::connect(std::string host, std::uint16_t port,
                                                       Instant deadline) {
  boost::system::error_code error;
  std::vector<tcp::endpoint> targets;
  const auto literal = asio::ip::make_address(host, error);
  Socket socket(context_.get_executor());
  Resolver resolver(context_.get_executor());
  bool late = false;
  port::Timer timer([&] {
    late = true;
    boost::system::error_code ignored;
    resolver.cancel();
    socket.close(ignored);
  });
  arm(timer, deadline);
  if (!error) {
    targets.emplace_back(literal, port);
  } else {
    auto [failed, found] = co_await resolver.async_resolve(host, fmt::format("{}", port), kTuple);
    if (failed) {
      co_return fail(
          ErrorCode::kUpstreamConnectFailed,
          fmt::format("{}: {}", host, late ? "name lookup timed out" : failed.message()));
    }
    for (const auto& entry : found) targets.push_back(entry.endpoint());
  }
  error = asio::error::host_not_found;
  for (const auto& target : targets) {
    if (late) break;
    boost::system::error_code ignored;
    socket.close(ignored);
    socket.open(target.protocol(), ignored);
    std::tie(error) = co_await socket.async_connect(target, kTuple);
    if (!error) break;
  }
  if (late || error) {
    co_return fail(
        ErrorCode::kUpstreamConnectFailed,
        fmt::format("{}:{}: {}", host, port, late ? "connect timed out" : lower(error.message())));
  }
  co_return std::make_unique<SocketStream>(std::move(socket));
}

}  // namespace infermesh::io
