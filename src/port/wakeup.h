// Wakeup: one coroutine waits, callbacks of the same loop wake it. set() before wait() is
// remembered (once). The waiter resumes through the executor's queue, never inside set(), so a
// callback may wake a coroutine that destroys it.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <utility>

#include "base/assert.h"
#include "port/task.h"

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
    co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<Executor>&, void()>(
        [this](auto handler) {
          IM_ASSERT(!resume_);
          resume_ = [held = std::move(handler)]() mutable {
            auto executor = boost::asio::get_associated_executor(held);
            boost::asio::post(executor, std::move(held));
          };
        },
        kToken);
  }

 private:
  static constexpr boost::asio::use_awaitable_t<Executor> kToken{};
  std::move_only_function<void()> resume_;
  bool set_ = false;
};

}  // namespace infermesh::port
