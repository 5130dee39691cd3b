// Wakeup: one coroutine waits, callbacks of the same loop wake it. set() before wait() is
// remembered (once). The waiter resumes in its turn, never inside set(), so a callback may wake a
// coroutine that destroys it. A Wakeup that goes takes the fiber that waits on it along: nothing
// else would resume it.
#pragma once

#include <utility>

#include "base/assert.h"
#include "port/tasks.h"

namespace infermesh::port {

class Wakeup {
 public:
  class Wait;

  Wakeup() = default;
  ~Wakeup();
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  void set();
  Wait wait();  // to be awaited at once

 private:
  Wait* wait_ = nullptr;
  bool set_ = false;
};

class Wakeup::Wait {
 public:
  explicit Wait(Wakeup& wakeup) : wakeup_(&wakeup) {}
  ~Wait() {
    if (waiting_ != nullptr && wakeup_ != nullptr) wakeup_->wait_ = nullptr;
  }
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;

  bool await_ready() { return std::exchange(wakeup_->set_, false); }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> waiting) {
    IM_ASSERT(wakeup_->wait_ == nullptr);
    waiting_ = waiting;
    fiber_ = &waiting.promise().fiber();
    wakeup_->wait_ = this;
  }
  static void await_resume() {}

 private:
  friend class Wakeup;
  Wakeup* wakeup_;  // null once it has been set, or is gone
  std::coroutine_handle<> waiting_;
  Fiber* fiber_ = nullptr;
};

inline Wakeup::~Wakeup() {
  Wait* const left = std::exchange(wait_, nullptr);
  if (left == nullptr) return;
  left->wakeup_ = nullptr;
  left->fiber_->tasks->drop(*left->fiber_);
}

inline void Wakeup::set() {
  Wait* const woken = std::exchange(wait_, nullptr);
  if (woken == nullptr) {
    set_ = true;
    return;
  }
  woken->wakeup_ = nullptr;
  woken->fiber_->tasks->resume_later(woken->waiting_);
}

inline Wakeup::Wait Wakeup::wait() {
  return Wait(*this);
}

}  // namespace infermesh::port
