// Waiter: the one place where an exchange waits. Streams, the admission queue and timers wake it;
// wait() says what to look at. The client's leaving, the deadline of the whole exchange and a
// forced stop are seen at every wait, on every route.
#pragma once

#include "data/stream/client_side.h"
#include "port/loop.h"
#include "port/wakeup.h"

namespace infermesh::data {

enum class Wake : std::uint8_t {
  kProgress,       // something may be read, written or has been granted: try
  kKeepalive,      // keepalive_due has come
  kPhaseDeadline,  // the deadline of this step
  kTotalDeadline,  // the deadline of the exchange
  kClientStalled,  // the client has not read what is written to it for `stall_timeout`
  kClientGone,
  kStopped,  // the shard gives up on what is still running (end of a drain)
};

class Waiter {
 public:
  struct Limits {
    std::size_t input_max = 64 << 10;  // bytes of early requests that are taken in
    Duration stall_timeout = 30s;
  };
  Waiter(port::Loop& loop, ClientSide& client, std::span<char> scratch, Limits limits)
      : loop_(loop), client_(client), scratch_(scratch), limits_(limits), timer_([this] {
          wake.set();
        }) {}

  class Wait;
  Wait wait();  // to be awaited at once
  void stop() {
    stopped_ = true;
    wake.set();
  }

  port::Wakeup wake;
  Instant phase_deadline = kNever;
  Instant total_deadline = kNever;
  Instant keepalive_due = kNever;
  bool watch_client =
      false;  // the request has been read whole: reads only tell whether the client is there

 private:
  bool begin();  // false: the client is gone
  Wake outcome();
  bool is_client_gone();
  void write_on();

  port::Loop& loop_;
  ClientSide& client_;
  std::span<char> scratch_;
  Limits limits_;
  Instant stall_deadline_ = kNever;
  std::size_t kept_seen_ = 0;
  port::Timer timer_;
  bool stopped_ = false;
};

// Not a coroutine: every chunk of every stream waits.
class Waiter::Wait {
 public:
  explicit Wait(Waiter& waiter) : waiter_(waiter), woken_(waiter.wake.wait()) {}

  bool await_ready() {
    gone_ = !waiter_.begin();
    return gone_ || woken_.await_ready();
  }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> waiting) {
    woken_.await_suspend(waiting);
  }
  Wake await_resume() { return gone_ ? Wake::kClientGone : waiter_.outcome(); }

 private:
  Waiter& waiter_;
  port::Wakeup::Wait woken_;
  bool gone_ = false;
};

inline Waiter::Wait Waiter::wait() {
  return Wait(*this);
}

}  // namespace infermesh::data
