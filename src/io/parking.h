// Parking: the coroutines of a loop that wait for io. The loop owns them while they wait: a Wakeup
// inside a coroutine that waits on it would own itself, and nobody would free it when the loop
// ends.
#pragma once

#include <list>
#include <utility>

#include "base/assert.h"
#include "port/suspend.h"

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
    port::Resume resume;
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
  co_await port::suspend([this](port::Resume resume) {
    IM_ASSERT(!waiting_);
    wait_ = parking_.waits_.insert(parking_.waits_.end(), Wait{std::move(resume), this});
    waiting_ = true;
  });
}

inline void Parking::clear() {
  while (!waits_.empty()) {
    const Wait gone = std::move(waits_.front());  // destroyed when it is in the list no more
    gone.spot->waiting_ = false;
    waits_.pop_front();
  }
}

}  // namespace infermesh::io
