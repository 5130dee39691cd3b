// Task<T>: a coroutine on one loop. It begins when it is awaited and runs on its awaiter's stack
// until it first has to wait; awaiting one that does not wait is a call. When it ends its awaiter
// goes on at once. An exception that it lets out comes to its awaiter.
//
// A spawned task and all that it awaits are one fiber: it runs until it waits (port/wakeup.h), is
// resumed by its loop's Tasks, and is destroyed as a whole. Why not another library's: note 0002.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <new>
#include <optional>
#include <utility>

namespace infermesh::port {

class Tasks;

// One spawned task, in the list of its loop's.
struct Fiber {
  Tasks* tasks = nullptr;
  Fiber* before = nullptr;
  Fiber* after = nullptr;
  std::coroutine_handle<> root;
};

// GCC 12 frees a frame without saying its size unless the promise asks for it, and what has no size
// is not kept for the next one.
struct FrameMemory {
  static void* operator new(std::size_t size) { return ::operator new(size); }
  static void operator delete(void* frame, std::size_t size) { ::operator delete(frame, size); }
};

// What every coroutine here has: its fiber, who awaits it.
class TaskPromise : public FrameMemory {
 public:
  struct Ended {
    static bool await_ready() noexcept { return false; }
    template <typename Promise>
    static void await_suspend(std::coroutine_handle<Promise> ended) noexcept {
      // Null: it ended within the call that began it. The awaiter may destroy what has ended.
      if (const auto awaiting = ended.promise().awaiting_) awaiting.resume();
    }
    static void await_resume() noexcept {}
  };
  static std::suspend_always initial_suspend() noexcept { return {}; }
  static Ended final_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { error_ = std::current_exception(); }

  Fiber& fiber() { return *fiber_; }

  // Begins it. True: it waits, and `awaiting` is resumed when it has ended.
  template <typename Promise, typename Awaiting>
  static bool begin(std::coroutine_handle<Promise> task, std::coroutine_handle<Awaiting> awaiting) {
    TaskPromise& promise = task.promise();
    promise.fiber_ = &awaiting.promise().fiber();
    task.resume();
    if (task.done()) return false;
    promise.awaiting_ = awaiting;
    return true;
  }
  void rethrow() {
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  Fiber* fiber_ = nullptr;
  std::coroutine_handle<> awaiting_;
  std::exception_ptr error_;
};

template <typename T = void>
class [[nodiscard]] Task {
 public:
  struct promise_type : TaskPromise {
    Task get_return_object() { return Task(Handle::from_promise(*this)); }
    template <typename Value = T>
    void return_value(Value&& value) {
      result.emplace(std::forward<Value>(value));
    }
    std::optional<T> result;
  };

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  static bool await_ready() noexcept { return false; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> awaiting) {
    return TaskPromise::begin(handle_, awaiting);
  }
  T await_resume() {
    handle_.promise().rethrow();
    return std::move(*handle_.promise().result);
  }

 private:
  using Handle = std::coroutine_handle<promise_type>;
  explicit Task(Handle handle) : handle_(handle) {}
  Handle handle_;
};

template <>
struct Task<void>::promise_type : TaskPromise {
  Task get_return_object() { return Task(Handle::from_promise(*this)); }
  static void return_void() noexcept {}
};

template <>
inline void Task<void>::await_resume() {
  handle_.promise().rethrow();
}

}  // namespace infermesh::port
