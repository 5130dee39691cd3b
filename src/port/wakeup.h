// Wakeup: one coroutine waits, callbacks of the same loop wake it. set() before wait() is
// remembered (once). The waiter resumes through the executor's queue, never inside set(), so a
// callback may wake a coroutine that destroys it.
#pragma once

#include <utility>

#include "base/assert.h"
#include "port/suspend.h"

namespace infermesh::port {

class Wakeup {
 public:
  void set() {
    if (resume_) {
      std::exchange(resume_, nullptr)();
    } else {
      set_ = true;
    }
  }

  Task<void> wait() {
    if (std::exchange(set_, false)) co_return;
    co_await suspend([this](Resume resume) {
      IM_ASSERT(!resume_);
      resume_ = std::move(resume);
    });
  }

 private:
  Resume resume_;
  bool set_ = false;
};

}  // namespace infermesh::port
