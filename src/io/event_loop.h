// EventLoop: port::Loop over Boost.Asio, one thread. run() returns after stop(). Timers resolve to
// 10 ms.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>

#include "port/loop.h"
#include "port/timer_queue.h"

namespace infermesh::io {

using SteadyTimer = boost::asio::basic_waitable_timer<
    std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>, port::Executor>;

class EventLoop final : public port::Loop {
 public:
  EventLoop();
  ~EventLoop() override;

  void run();   // until stop(), on the calling thread
  void stop();  // from any thread
  port::Executor executor() { return context_.get_executor(); }

  Instant now() const override;
  WallTime wall_now() const override;
  std::uint64_t entropy() override;
  void arm(port::Timer& timer, Instant deadline) override;
  port::Task<void> sleep_until(Instant when) override;
  void spawn(port::Task<void> task) override;
  void post(std::function<void()> function) override;
  port::Task<Result<port::StreamPtr>> connect(std::string host, std::uint16_t port,
                                              Instant deadline) override;

 private:
  void schedule();

  boost::asio::io_context context_{1};
  port::TimerQueue timers_;
  SteadyTimer tick_;
  Instant tick_at_ = kNever;
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
