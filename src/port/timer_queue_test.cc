#include "port/timer_queue.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "base/rng.h"

namespace infermesh::port {
namespace {

Instant at(int seconds) {
  return Instant(Duration(std::chrono::seconds(seconds)));
}

TEST(TimerQueue, FiresInOrderOfDeadlineThenOfArming) {
  TimerQueue queue;
  std::string fired;
  Timer a([&] { fired += 'a'; }), b([&] { fired += 'b'; }), c([&] { fired += 'c'; });
  queue.arm(c, at(2));
  queue.arm(a, at(1));
  queue.arm(b, at(1));
  EXPECT_EQ(queue.next(), at(1));
  queue.run(at(2));
  EXPECT_EQ(fired, "abc");
  EXPECT_FALSE(a.armed());
}

TEST(TimerQueue, AMovedDeadlineFiresOnceAtItsNewTime) {
  TimerQueue queue;
  int fired = 0;
  Timer timer([&] { ++fired; });
  queue.arm(timer, at(1));
  queue.arm(timer, at(5));
  queue.run(at(1));
  EXPECT_EQ(fired, 0);
  queue.arm(timer, at(3));
  queue.run(at(3));
  EXPECT_EQ(fired, 1);
  queue.run(at(9));
  EXPECT_EQ(fired, 1);
}

TEST(TimerQueue, ADisarmedOrDestroyedTimerNeverFires) {
  TimerQueue queue;
  int fired = 0;
  Timer stays([&] { ++fired; });
  std::optional<Timer> goes;
  goes.emplace([&] { ++fired; });
  queue.arm(stays, at(1));
  queue.arm(*goes, at(1));
  queue.arm(stays, kNever);
  goes.reset();
  queue.run(at(2));
  EXPECT_EQ(fired, 0);
}

TEST(TimerQueue, ATimerMayArmItselfAndDestroyOthersWhileFiring) {
  TimerQueue queue;
  int fired = 0;
  std::optional<Timer> victim;
  victim.emplace([&] { ADD_FAILURE() << "destroyed before its turn"; });
  std::optional<Timer> again;
  again.emplace([&] {
    victim.reset();
    if (++fired < 3) queue.arm(*again, at(fired + 1));
  });
  queue.arm(*again, at(1));
  queue.arm(*victim, at(1));
  queue.run(at(10));
  EXPECT_EQ(fired, 3);
}

TEST(TimerQueue, ForgottenTimersDoNotPileUp) {
  TimerQueue queue;
  for (int i = 0; i < 10'000; ++i) {
    Timer timer([] {});
    queue.arm(timer, at(1000 + i));
  }
  EXPECT_LT(queue.size(), 200u);
}

TEST(TimerQueue, RandomUseNeverFiresEarlyOrTwice) {
  Rng rng(42);
  TimerQueue queue;
  struct Item {
    Instant due = kNever;
    int fired = 0;
    std::optional<Timer> timer;
  };
  std::vector<Item> items(50);
  Instant now{};
  for (Item& item : items) {
    item.timer.emplace([&item, &now] {
      EXPECT_LE(item.due, now);
      item.due = kNever;
      ++item.fired;
    });
  }
  for (int step = 0; step < 20'000; ++step) {
    Item& item = items[rng.below(items.size())];
    if (rng.below(4) == 0) {
      item.due = kNever;
      queue.arm(*item.timer, kNever);
    } else {
      item.due = now + 1ms * static_cast<std::int64_t>(1 + rng.below(100));
      queue.arm(*item.timer, item.due);
    }
    now += 1ms * static_cast<std::int64_t>(rng.below(5));
    queue.run(now);
    for (const Item& other : items) EXPECT_TRUE(other.due == kNever || other.due > now);
  }
}

}  // namespace
}  // namespace infermesh::port
