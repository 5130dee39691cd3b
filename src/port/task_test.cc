#include "port/task.h"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "port/tasks.h"
#include "port/wakeup.h"

namespace infermesh::port {
namespace {

Task<int> answer() {
  co_return 42;
}

Task<std::string> greet(Wakeup& wake) {
  co_await wake.wait();
  co_return "hello";
}

Task<int> depth(int levels) {
  if (levels == 0) co_return co_await answer();
  co_return co_await depth(levels - 1);
}

TEST(Task, BeginsInItsTurnAndRunsUntilItWaits) {
  Tasks tasks;
  Wakeup wake;
  std::string got;
  tasks.spawn([](Wakeup& w, std::string& out) -> Task<void> {
    out = "begun";
    out = co_await greet(w);
  }(wake, got));
  EXPECT_EQ(got, "");
  tasks.run();
  EXPECT_EQ(got, "begun");
  wake.set();
  EXPECT_EQ(got, "begun") << "it resumes in its turn, not within set()";
  tasks.run();
  EXPECT_EQ(got, "hello");
}

TEST(Task, AnAwaitThatNeedsNoWaitIsACall) {
  Tasks tasks;
  int got = 0;
  tasks.spawn([](int& out) -> Task<void> { out = co_await depth(20); }(got));
  EXPECT_TRUE(tasks.run_one());
  EXPECT_EQ(got, 42);
  EXPECT_FALSE(tasks.run_one());
}

// Each round ends where it began; stacks that grew by a frame a round would overflow.
TEST(Task, ManyRoundsOfWaitsAndCallsTakeNoStack) {
  Tasks tasks;
  Wakeup wake;
  int rounds = 0;
  tasks.spawn([](Wakeup& w, int& count) -> Task<void> {
    for (int i = 0; i < 200'000; ++i) {
      w.set();
      co_await greet(w);
      co_await answer();
      ++count;
    }
  }(wake, rounds));
  tasks.spawn([](Wakeup& w) -> Task<void> {
    Wakeup own;
    for (int i = 0; i < 200'000; ++i) {
      own.set();
      co_await own.wait();
    }
    w.set();
  }(wake));
  tasks.run();
  EXPECT_EQ(rounds, 200'000);

  int suspended = 0;
  Wakeup gate;
  tasks.spawn([](Wakeup& w, int& count) -> Task<void> {
    while (count < 100'000) {
      co_await greet(w);
      ++count;
    }
  }(gate, suspended));
  while (suspended < 100'000) {
    tasks.run();
    gate.set();
  }
}

TEST(Task, AnExceptionComesToWhoAwaitsIt) {
  Tasks tasks;
  Wakeup wake;
  std::string told;
  tasks.spawn([](Wakeup& w, std::string& out) -> Task<void> {
    const auto fails = [](Wakeup& waited) -> Task<int> {
      co_await waited.wait();
      co_return std::string("no").at(2);
    };
    try {
      co_await fails(w);
    } catch (const std::out_of_range&) {
      out = "out of range";
    }
  }(wake, told));
  tasks.run();
  wake.set();
  tasks.run();
  EXPECT_EQ(told, "out of range");
}

TEST(Tasks, RunInTheOrderInWhichTheyBecameReady) {
  Tasks tasks;
  std::string order;
  const auto append = [](std::string& out, char name, Wakeup& wake) -> Task<void> {
    co_await wake.wait();
    out += name;
  };
  Wakeup first, second;
  tasks.spawn(append(order, 'a', first));
  tasks.spawn(append(order, 'b', second));
  tasks.run();
  second.set();
  first.set();
  tasks.run();
  EXPECT_EQ(order, "ba");
}

TEST(Tasks, OwnWhatStillWaits) {
  const auto alive = std::make_shared<int>(0);
  Wakeup outside;
  {
    Tasks tasks;
    const auto waits = [](Wakeup& wake, std::shared_ptr<int>) -> Task<void> {
      co_await greet(wake);
    };
    const auto waits_on_itself = [](std::shared_ptr<int>) -> Task<void> {
      Wakeup own;
      co_await own.wait();
    };
    tasks.spawn(waits(outside, alive));
    tasks.spawn(waits_on_itself(alive));
    tasks.run();
    tasks.spawn(waits_on_itself(alive));  // has not begun
    EXPECT_EQ(alive.use_count(), 4);
  }
  EXPECT_EQ(alive.use_count(), 1);
  outside.set();  // nobody is there
}

TEST(Wakeup, ThatGoesTakesItsWaiterAlong) {
  Tasks tasks;
  const auto alive = std::make_shared<int>(0);
  auto wake = std::make_unique<Wakeup>();
  tasks.spawn(
      [](Wakeup& w, std::shared_ptr<int>) -> Task<void> { co_await greet(w); }(*wake, alive));
  tasks.run();
  EXPECT_EQ(alive.use_count(), 2);
  wake.reset();
  EXPECT_EQ(alive.use_count(), 1);
  EXPECT_FALSE(tasks.run_one());
}

TEST(Wakeup, ThatGoesAfterItWasSetLeavesItsWaiterReady) {
  Tasks tasks;
  bool done = false;
  auto wake = std::make_unique<Wakeup>();
  tasks.spawn([](Wakeup& w, bool& out) -> Task<void> {
    co_await greet(w);
    out = true;
  }(*wake, done));
  tasks.run();
  wake->set();
  wake.reset();
  tasks.run();
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace infermesh::port
