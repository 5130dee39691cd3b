#include "io/event_loop.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/assert.h"
#include "base/text.h"
#include "io/address.h"
#include "io/block_cache.h"
#include "io/socket_stream.h"
#include "port/wakeup.h"

namespace infermesh::io {
namespace {

constexpr Duration kTick = 10ms;
constexpr Duration kWaitMax = 1h;
constexpr Duration kWallEvery = 100ms;

// The end of the tick that `when` falls in: timers close together share one wake-up.
Instant end_of_tick(Instant when) {
  const auto ticks = (when.time_since_epoch() + kTick - 1ns) / kTick;
  return Instant(ticks * kTick);
}

// Connected, or being connected.
int begin_connect(const SocketAddress& target) {
  const int fd = ::socket(target.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (::connect(fd, target.raw(), target.size) == 0 || errno == EINPROGRESS) return fd;
  const int error = errno;
  ::close(fd);
  return -error;
}

}  // namespace

EventLoop::EventLoop() : names_(*this) {
  exact_now();
}

// Tasks that still wait go first: they hold sockets and timers.
EventLoop::~EventLoop() {
  end_tasks();
}

void EventLoop::end_tasks() {
  tasks_.end();
}

void EventLoop::run() {
  BlockCache::of_this_thread().open();
  exact_now();
  while (!stopped_.load(std::memory_order_acquire)) {
    run_tasks();
    reactor_.wait(until_next());
    turn();
  }
  BlockCache::of_this_thread().close();
}

void EventLoop::turn() {
  exact_now();
  run_posted();
  reactor_.dispatch();
  timers_.run(now_);
  sleeps_.run(now_);
}

// The first one is resumed by what turn() has just told.
void EventLoop::run_tasks() {
  if (!tasks_.run_one()) return;
  while (!tasks_.idle()) {
    exact_now();
    tasks_.run_one();
  }
}

// A far deadline may be met late by as long as the tasks of this turn took.
Duration EventLoop::until_next() {
  const Instant next = std::min(timers_.next(), sleeps_.next());
  if (next == kNever) return kWaitMax;
  const Instant from = next - now_ < 2 * kTick ? exact_now() : now_;
  return std::clamp(next - from, Duration::zero(), kWaitMax);
}

void EventLoop::run_posted() {
  std::vector<std::function<void()>> functions;
  {
    const std::lock_guard lock(post_mutex_);
    functions.swap(posted_);
  }
  for (const auto& function : functions) function();
}

void EventLoop::stop() {
  stopped_.store(true, std::memory_order_release);
  reactor_.interrupt();
}

Instant EventLoop::exact_now() {
  now_ = Instant(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
  if (now_ - wall_read_at_ >= kWallEvery) {
    wall_now_ = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
    wall_read_at_ = now_;
  }
  return now_;
}

std::uint64_t EventLoop::entropy() {
  std::uint64_t bits = 0;
  const ssize_t got = ::getrandom(&bits, sizeof bits, 0);
  IM_ASSERT(got == sizeof bits);
  return bits;
}

void EventLoop::arm(port::Timer& timer, Instant deadline) {
  const bool in_time = deadline != kNever && deadline > now_;  // what is due already is due now
  timers_.arm(timer, in_time ? end_of_tick(deadline) : deadline);
}

port::Task<void> EventLoop::sleep_until(Instant when) {
  port::Wakeup wake;
  port::Timer timer([&wake] { wake.set(); });
  sleeps_.arm(timer, when);
  co_await wake.wait();
}

void EventLoop::spawn(port::Task<void> task) {
  tasks_.spawn(std::move(task));
}

void EventLoop::post(std::function<void()> function) {
  bool first = false;
  {
    const std::lock_guard lock(post_mutex_);
    first = posted_.empty();
    posted_.push_back(std::move(function));
  }
  if (first) reactor_.interrupt();
}

port::Task<Result<port::StreamPtr>> EventLoop::connect(port::Target target, Instant deadline) {
  if (target.tls && !tls_) {
    co_return fail(ErrorCode::kUpstreamConnectFailed, "TLS is not spoken here");
  }
  auto stream = co_await connect_tcp(target, deadline);
  if (!stream || !target.tls) co_return std::move(stream);
  co_return co_await tls_->secure(std::move(*stream), target, deadline);
}

port::Task<Result<port::StreamPtr>> EventLoop::connect_tcp(const port::Target& target,
                                                           Instant deadline) {
  const std::string& host = target.host;
  const std::uint16_t port = target.port;
  std::vector<SocketAddress> targets;
  if (const auto literal = SocketAddress::from_literal(host, port); literal && !host.empty()) {
    targets.push_back(*literal);
  } else {
    auto found = co_await names_.find(host, port, deadline);
    if (!found) co_return std::unexpected(found.error());
    targets = std::move(*found);
  }
  std::string why = "no address";
  bool late = false;
  for (const SocketAddress& address : targets) {
    const int fd = begin_connect(address);
    int error = -fd;
    if (fd >= 0) {
      auto stream = std::make_unique<SocketStream>(reactor_, fd);
      port::Timer timer([&late, &stream] {
        late = true;
        stream->cancel();
      });
      arm(timer, deadline);
      co_await stream->writable();
      error = stream->socket_error();
      if (error == 0 && !late) co_return std::move(stream);
    }
    if (late) break;
    why = lower(std::system_category().message(error));
  }
  co_return fail(ErrorCode::kUpstreamConnectFailed,
                 fmt::format("{}:{}: {}", host, port, late ? "connect timed out" : why));
}

}  // namespace infermesh::io
