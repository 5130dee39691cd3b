#include "data/shard/decision_ring.h"

#include <gtest/gtest.h>

namespace infermesh::data {
namespace {

DecisionRecord record_of(std::string id) {
  DecisionRecord record;
  record.request_id = std::move(id);
  return record;
}

TEST(DecisionRing, KeepsTheLastOnesAndFindsTheNewestOfAName) {
  DecisionRing ring(3);
  for (const char* id : {"a", "b", "c", "b", "d"}) ring.put(record_of(id));
  EXPECT_EQ(ring.find("a"), nullptr);
  const auto recent = ring.recent(10);
  ASSERT_EQ(recent.size(), 3u);
  EXPECT_EQ(recent[0]->request_id, "d");
  EXPECT_EQ(recent[1]->request_id, "b");
  EXPECT_EQ(recent[2]->request_id, "c");
  EXPECT_EQ(ring.find("b"), recent[1]);
  EXPECT_EQ(ring.recent(1).size(), 1u);
}

TEST(DecisionRing, OfNoCapacityKeepsNothing) {
  DecisionRing ring(0);
  ring.put(record_of("a"));
  EXPECT_EQ(ring.find("a"), nullptr);
}

}  // namespace
}  // namespace infermesh::data
