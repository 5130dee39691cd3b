// World: a simulated world on one thread: virtual time, loops, and an in-memory network between
// them. It implements port/ for tests and simulations: nothing here reads a clock, opens a socket
// or sleeps, and the same seed and calls give the same run. Time stands still while anything can
// run, then jumps to the next timer.
//
// Everything that a world hands out (loops, streams, listeners) belongs to it and must be gone, or
// held by its own tasks, when it ends; tasks that are still suspended then are unwound. Not
// thread-safe, but for Loop::post.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "port/fake/network.h"
#include "port/loop.h"
#include "port/tasks.h"
#include "port/timer_queue.h"
#include "port/wakeup.h"

namespace infermesh::port::fake {

class World {
 public:
  explicit World(std::uint64_t seed = 1);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Loop& loop() { return *loops_.front(); }  // the first one
  Loop& make_loop();                        // another, as a second shard has
  Network& network() { return network_; }

  Instant now() const { return now_; }
  void settle();                // runs what can run without time passing
  void run_for(Duration time);  // settles, then lets that much time pass
  // Lets time pass until done(); false when `limit` passes first.
  bool run_until(const std::function<bool()>& done, Duration limit = 60s);
  // Runs a task to its end, within `limit` (an assertion holds that).
  template <typename T>
  T run(Task<T> task, Duration limit = 60s);

  // For the parts of the world: a coroutine that waits is known by a ticket.
  using Ticket = std::uint64_t;
  Ticket next_ticket() { return ++tickets_; }
  Task<void> park(Ticket ticket);
  void unpark(Ticket ticket);  // nothing when it is not parked
  void post(std::function<void()> function);
  void spawn(Task<void> task);
  TimerQueue& timers() { return timers_; }
  std::uint64_t entropy() { return rng_.next(); }

 private:
  bool step(Instant until);  // one jump of time; false when there is none before `until`

  // In the order in which the parts need each other: the tasks go first.
  Instant now_{};
  Rng rng_;
  TimerQueue timers_;
  Network network_;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::map<Ticket, Wakeup*> parked_;
  Ticket tickets_ = 0;
  Tasks tasks_;
};

template <typename T>
T World::run(Task<T> task, Duration limit) {
  std::optional<T> result;
  spawn([](Task<T> inner, std::optional<T>& out) -> Task<void> {
    out.emplace(co_await std::move(inner));
  }(std::move(task), result));
  IM_ASSERT(run_until([&] { return result.has_value(); }, limit));
  return std::move(*result);
}

}  // namespace infermesh::port::fake
