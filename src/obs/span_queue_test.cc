#include "obs/span_queue.h"

#include <gtest/gtest.h>

namespace infermesh::obs {
namespace {

Span named(std::string name) {
  Span span;
  span.name = std::move(name);
  return span;
}

TEST(SpanQueue, GivesTheOldestFirstAndNoMoreThanAsked) {
  SpanQueue queue(10);
  for (const char* name : {"a", "b", "c"}) queue.put(named(name));
  const auto first = queue.take(2);
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0].name, "a");
  EXPECT_EQ(first[1].name, "b");
  EXPECT_EQ(queue.take(2).size(), 1u);
  EXPECT_TRUE(queue.take(2).empty());
}

TEST(SpanQueue, DropsAndCountsWhatFindsItFull) {
  SpanQueue queue(2);
  for (const char* name : {"a", "b", "c", "d"}) queue.put(named(name));
  EXPECT_EQ(queue.dropped(), 2u);
  EXPECT_EQ(queue.take(9).back().name, "b");
  queue.put(named("e"));
  EXPECT_EQ(queue.take(9).size(), 1u);
  EXPECT_EQ(queue.dropped(), 2u);
}

}  // namespace
}  // namespace infermesh::obs
