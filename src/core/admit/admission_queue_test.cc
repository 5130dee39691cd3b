#include "core/admit/admission_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

namespace infermesh::admit {
namespace {

using Queue = AdmissionQueue<std::string>;
constexpr Instant kStart{1h};

Queue::Offered wait(Queue& queue, std::string name, Priority priority = Priority::kNormal,
                    Instant deadline = kNever) {
  return queue.offer(std::move(name), priority, deadline, Capacity::kNone);
}

std::vector<std::string> drain(Queue& queue, Instant now = kStart) {
  std::vector<std::string> order;
  while (auto ticket = queue.next(now)) order.push_back(*ticket);
  return order;
}

TEST(AdmissionQueue, AdmitsAtOnceWhenThereIsCapacityAndNobodyWaits) {
  Queue queue(4);
  EXPECT_EQ(queue.offer("a", Priority::kNormal, kNever, Capacity::kFree).admission,
            Admission::kAdmitted);
  EXPECT_EQ(wait(queue, "b").admission, Admission::kQueued);
  EXPECT_EQ(queue.offer("c", Priority::kNormal, kNever, Capacity::kFree).admission,
            Admission::kQueued)
      << "does not overtake";
  EXPECT_EQ(queue.offer("d", Priority::kHigh, kNever, Capacity::kFree).admission,
            Admission::kAdmitted);
  EXPECT_THAT(drain(queue), testing::ElementsAre("b", "c"));
}

TEST(AdmissionQueue, WhoHasATurnKeepsItsPlaceUntilItIsServed) {
  Queue queue(4);
  const auto a = wait(queue, "a");
  wait(queue, "b");
  wait(queue, "late", Priority::kHigh, kStart);
  const auto anybody = [](const std::string&) { return true; };
  EXPECT_EQ(queue.peek(kStart, anybody), "a") << "nobody whose deadline has passed";
  EXPECT_EQ(queue.peek(kStart, anybody), "a");
  EXPECT_EQ(queue.peek(kStart, [](const std::string& name) { return name != "a"; }), "b");
  EXPECT_EQ(queue.peek(kStart, [](const std::string&) { return false; }), std::nullopt);
  queue.depart(a.place, kStart);
  queue.depart(a.place, kStart);  // nothing more
  EXPECT_EQ(queue.size(), 2U);
  EXPECT_EQ(queue.peek(kStart, anybody), "b");
}

TEST(AdmissionQueue, RefusesWhenFullAndGivesTheTicketBack) {
  Queue queue(2);
  wait(queue, "a");
  wait(queue, "b");
  const auto offered = wait(queue, "c");
  EXPECT_EQ(offered.admission, Admission::kRefused);
  EXPECT_EQ(offered.back, "c");
  EXPECT_EQ(queue.size(), 2U);
}

TEST(AdmissionQueue, AHigherPriorityPushesOutTheNewestOfTheLowest) {
  Queue queue(3);
  wait(queue, "low1", Priority::kLow);
  wait(queue, "low2", Priority::kLow);
  wait(queue, "normal1");
  const auto high = wait(queue, "high1", Priority::kHigh);
  ASSERT_TRUE(high.pushed_out);
  EXPECT_EQ(high.pushed_out, "low2");
  EXPECT_EQ(wait(queue, "normal2").pushed_out, "low1");
  EXPECT_EQ(wait(queue, "normal3").admission, Admission::kRefused);
  EXPECT_EQ(wait(queue, "high2", Priority::kHigh).pushed_out, "normal2");
  EXPECT_THAT(drain(queue), testing::ElementsAre("high1", "normal1", "high2"));
}

TEST(AdmissionQueue, ServesPrioritiesByWeightAndEachInOrder) {
  Queue queue(1000);
  for (int i = 0; i < 130; ++i) {
    wait(queue, "h" + std::to_string(i), Priority::kHigh);
    wait(queue, "n" + std::to_string(i));
    wait(queue, "l" + std::to_string(i), Priority::kLow);
  }
  std::map<char, int> served;
  for (int i = 0; i < 130; ++i) {
    const std::string ticket = *queue.next(kStart);
    EXPECT_EQ(ticket.substr(1), std::to_string(served[ticket[0]]++));
  }
  EXPECT_NEAR(served['h'], 80, 1);
  EXPECT_NEAR(served['n'], 40, 1);
  EXPECT_NEAR(served['l'], 10, 1);
}

TEST(AdmissionQueue, APriorityThatWasAbsentDoesNotSaveUpTurns) {
  Queue queue(1000);
  for (int i = 0; i < 300; ++i) wait(queue, "h", Priority::kHigh);
  for (int i = 0; i < 200; ++i) queue.next(kStart);
  for (int i = 0; i < 50; ++i) wait(queue, "l", Priority::kLow);
  int low = 0;
  for (int i = 0; i < 27; ++i) low += *queue.next(kStart) == "l";
  EXPECT_LE(low, 4);
}

TEST(AdmissionQueue, NothingIsHandedOutPastItsDeadline) {
  Queue queue(4);
  wait(queue, "b", Priority::kHigh, kStart + 2s);
  wait(queue, "a", Priority::kNormal, kStart + 1s);
  wait(queue, "c", Priority::kHigh, kStart + 9s);
  EXPECT_EQ(queue.next(kStart + 3s), "c");
  EXPECT_EQ(queue.next(kStart + 3s), std::nullopt);
  EXPECT_EQ(queue.size(), 2U) << "until they leave";
}

TEST(AdmissionQueue, AClientThatGoesAwayGivesUpItsPlace) {
  Queue queue(2);
  const auto place = wait(queue, "a", Priority::kNormal, kStart + 1s).place;
  wait(queue, "b", Priority::kNormal, kStart + 1s);
  EXPECT_EQ(queue.remove(place), "a");
  EXPECT_EQ(queue.remove(place), std::nullopt);
  EXPECT_THAT(drain(queue), testing::ElementsAre("b"));
}

TEST(AdmissionQueue, RetryAfterFollowsTheDrainRate) {
  Queue queue(100);
  EXPECT_EQ(queue.retry_after(kStart), 1s);
  for (int i = 0; i < 20; ++i) wait(queue, "a");
  for (int i = 0; i < 10; ++i) queue.next(kStart + i * 200ms);
  // 10 wait, one more comes, one leaves every 200 ms.
  EXPECT_NEAR(to_seconds(queue.retry_after(kStart + 1800ms)), 2.2, 0.1);
  EXPECT_EQ(queue.retry_after(kStart + 1h), 30s) << "it has stopped moving";
}

TEST(AdmissionQueue, TakesTicketsThatCanOnlyMove) {
  AdmissionQueue<std::unique_ptr<int>> queue(1);
  queue.offer(std::make_unique<int>(7), Priority::kLow, kNever, Capacity::kNone);
  EXPECT_EQ(**queue.next(kStart), 7);
}

}  // namespace
}  // namespace infermesh::admit
