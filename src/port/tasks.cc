#include "port/tasks.h"

namespace infermesh::port {
namespace {

constexpr std::size_t kDoneMax = 1024;  // resumed entries before those that follow move up

}  // namespace

// The coroutine below a spawned task: frees itself when the task has ended. Nobody is left to take
// an exception then.
struct Tasks::Root {
  struct promise_type : Fiber, FrameMemory {
    struct Ended {
      static bool await_ready() noexcept { return false; }
      static void await_suspend(std::coroutine_handle<promise_type> ended) noexcept {
        promise_type& promise = ended.promise();
        promise.tasks->unlink(promise);
        ended.destroy();
      }
      static void await_resume() noexcept {}
    };
    Root get_return_object() {
      root = std::coroutine_handle<promise_type>::from_promise(*this);
      return {this};
    }
    static std::suspend_always initial_suspend() noexcept { return {}; }
    static Ended final_suspend() noexcept { return {}; }
    static void return_void() noexcept {}
    [[noreturn]] static void unhandled_exception() noexcept { std::terminate(); }
    Fiber& fiber() { return *this; }
  };
  Fiber* fiber;
};

Tasks::Root Tasks::make_root(Task<void> task) {
  co_await std::move(task);
}

void Tasks::spawn(Task<void> task) {
  if (ended_) return;
  Fiber& fiber = *make_root(std::move(task)).fiber;
  fiber.tasks = this;
  fiber.before = newest_;
  if (newest_ != nullptr) newest_->after = &fiber;
  newest_ = &fiber;
  ready_.push_back(fiber.root);
}

void Tasks::unlink(Fiber& fiber) {
  if (fiber.before != nullptr) fiber.before->after = fiber.after;
  (fiber.after != nullptr ? fiber.after->before : newest_) = fiber.before;
}

bool Tasks::run_one() {
  if (idle()) return false;
  const std::coroutine_handle<> ready = ready_[next_++];
  if (idle()) {
    ready_.clear();
    next_ = 0;
  } else if (next_ >= kDoneMax) {
    ready_.erase(ready_.begin(), ready_.begin() + static_cast<std::ptrdiff_t>(next_));
    next_ = 0;
  }
  ready.resume();
  return true;
}

void Tasks::run() {
  while (run_one()) {
  }
}

void Tasks::drop(Fiber& fiber) {
  unlink(fiber);
  fiber.root.destroy();
}

// Destroying one fiber may drop others, so each is looked up anew.
void Tasks::end() {
  ended_ = true;
  ready_.clear();
  next_ = 0;
  while (newest_ != nullptr) drop(*newest_);
}

}  // namespace infermesh::port
