// Parking: the coroutines of a loop that wait for io. The loop owns them while they wait: a Wakeup
// inside a coroutine that waits on it would own itself, and nobody would free it when the loop
// ends.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <list>
#include <utility>

#include "base/assert.h"
#include "port/task.h"

namespace infermesh::io {

class Parking {
  struct Wait;

 public:
  // Like port::Wakeup: one coroutine waits, set() before wait() is remembered once, and the waiter
  // resumes through the executor's queue.
  class Spot {
   public:
    explicit Spot(Parking& parking) : parking_(parking) {}
    ~Spot() {
      if (waiting_) parking_.waits_.erase(wait_);
    }
    Spot(const Spot&) = delete;
    Spot& operator=(const Spot&) = delete;

    void set();
    port::Task<void> wait();

   private:
    friend class Parking;
    Parking& parking_;
    std::list<Wait>::iterator wait_{};
    bool waiting_ = false, set_ = false;
  };

  ~Parking() { clear(); }
  void clear();  // destroys what waits

 private:
  struct Wait {
    std::move_only_function<void()> resume;
    Spot* spot;
  };
  std::list<Wait> waits_;
};

inline void Parking::Spot::set() {
  if (!std::exchange(waiting_, false)) {
    set_ = true;
    return;
  }
  auto resume = std::move(wait_->resume);
  parking_.waits_.erase(wait_);
  resume();
}

inline port::Task<void> Parking::Spot::wait() {
  if (std::exchange(set_, false)) co_return;
  constexpr boost::asio::use_awaitable_t<port::Executor> kToken{};
  co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<port::Executor>&, void()>(
      [this](auto handler) {
        IM_ASSERT(!waiting_);
        auto resume = [held = std::move(handler)]() mutable {
          auto executor = boost::asio::get_associated_executor(held);
          boost::asio::post(executor, std::move(held));
        };
        wait_ = parking_.waits_.insert(parking_.waits_.end(), Wait{std::move(resume), this});
        waiting_ = true;
      },
      kToken);
}

inline void Parking::clear() {
  while (!waits_.empty()) {
    const Wait gone = std::move(waits_.front());  // destroyed when it is in the list no more
    gone.spot->waiting_ = false;
    waits_.pop_front();
  }
}

}  // namespace infermesh::io
