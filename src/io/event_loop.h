// EventLoop: port::Loop of one thread: coroutines in port::Tasks, sockets on a Reactor, timers on
// heaps. run() returns after stop(). Timers resolve to 10 ms, sleep_until() as
// finely as the kernel.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "io/names.h"
#include "io/reactor.h"
#include "port/loop.h"
#include "port/tasks.h"
#include "port/timer_queue.h"

namespace infermesh::io {

// Makes a TLS connection of a TCP connection that stands (io/tls). Owned by its loop.
class TlsDialer {
 public:
  virtual ~TlsDialer() = default;
  virtual port::Task<Result<port::StreamPtr>> secure(port::StreamPtr plain,
                                                     const port::Target& target,
                                                     Instant deadline) = 0;
};

class EventLoop final : public port::Loop {
 public:
  EventLoop();
  ~EventLoop() override;

  void run();   // until stop(), on the calling thread
  void stop();  // from any thread
  // Destroys what still waits, so that what it uses may go. Nothing runs here any more.
  void end_tasks();
  Reactor& reactor() { return reactor_; }

  Instant now() const override { return now_; }
  Instant exact_now() override;
  WallTime wall_now() const override { return wall_now_ + (now_ - wall_read_at_); }
  std::uint64_t entropy() override;
  void arm(port::Timer& timer, Instant deadline) override;
  port::Task<void> sleep_until(Instant when) override;
  void spawn(port::Task<void> task) override;
  void post(std::function<void()> function) override;
  using port::Loop::connect;
  port::Task<Result<port::StreamPtr>> connect(port::Target target, Instant deadline) override;
  // Who makes TLS of a connection; without one, targets that want TLS are refused.
  void use_tls(std::unique_ptr<TlsDialer> dialer) { tls_ = std::move(dialer); }

 private:
  port::Task<Result<port::StreamPtr>> connect_tcp(const port::Target& target, Instant deadline);
  void turn();
  void run_posted();
  void run_tasks();
  Duration until_next();

  Instant now_{};
  Instant wall_read_at_{};  // when wall_now_ was read: both clocks together, ten times a second
  WallTime wall_now_{};
  Reactor reactor_;
  port::TimerQueue timers_;  // to the end of a tick
  port::TimerQueue sleeps_;  // to the nanosecond
  std::atomic<bool> stopped_ = false;
  std::mutex post_mutex_;
  std::vector<std::function<void()>> posted_;
  Names names_;
  std::unique_ptr<TlsDialer> tls_;
  port::Tasks tasks_;  // destroyed before what they use
};

// Whether other sockets may bind the same address; the kernel spreads connections over those that
// share it.
enum class Sharing : std::uint8_t { kAlone, kShared };

// Binds HOST:PORT (port 0 = any) on `loop`.
Result<std::unique_ptr<port::Listener>> listen(EventLoop& loop, const std::string& host,
                                               std::uint16_t port,
                                               Sharing sharing = Sharing::kAlone);

// "127.0.0.1:6400", "[::1]:6400", ":6400" (all addresses) -> host and port.
struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};
Result<HostPort> parse_host_port(std::string_view text);

}  // namespace infermesh::io
