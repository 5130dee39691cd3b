#include "core/engine/hash_index.h"

#include <gtest/gtest.h>

#include <unordered_map>

#include "base/rng.h"

namespace infermesh::engine {
namespace {

TEST(HashIndex, FindsWhatWasInserted) {
  HashIndex index(4);
  EXPECT_TRUE(index.insert(77, 3));
  EXPECT_EQ(index.find(77), 3u);
  EXPECT_EQ(index.find(78), std::nullopt);
  EXPECT_EQ(index.size(), 1u);
}

TEST(HashIndex, KeepsTheFirstBlockOfAHash) {
  HashIndex index(4);
  index.insert(77, 3);
  EXPECT_FALSE(index.insert(77, 4));
  EXPECT_EQ(index.find(77), 3u);
  EXPECT_EQ(index.size(), 1u);
}

TEST(HashIndex, ErasingSomethingUnknownChangesNothing) {
  HashIndex index(4);
  index.insert(1, 1);
  index.erase(2);
  EXPECT_EQ(index.size(), 1u);
  EXPECT_EQ(index.find(1), 1u);
}

TEST(HashIndexDeathTest, RefusesMoreThanItsBound) {
  HashIndex index(2);
  index.insert(1, 1);
  index.insert(2, 2);
  EXPECT_DEATH(index.insert(3, 3), "size_ < entries_max_");
}

TEST(HashIndex, AgreesWithAMapOverManyRandomChanges) {
  constexpr std::uint64_t kSeed = 20261124;
  SCOPED_TRACE(::testing::Message() << "seed " << kSeed);
  Rng rng(kSeed);
  HashIndex index(64);
  std::unordered_map<BlockHash, std::uint32_t> expected;
  for (int i = 0; i < 20'000; ++i) {
    // Few distinct hashes, multiples of 64, make long probe runs.
    const BlockHash hash = (1 + rng.below(100)) * 64;
    const auto block = static_cast<std::uint32_t>(rng.below(1000));
    if (rng.below(2) == 0 && expected.size() < 64) {
      EXPECT_EQ(index.insert(hash, block), expected.emplace(hash, block).second);
    } else {
      index.erase(hash);
      expected.erase(hash);
    }
    ASSERT_EQ(index.size(), expected.size());
    for (BlockHash h = 64; h <= 6400; h += 64) {
      const auto found = expected.find(h);
      ASSERT_EQ(index.find(h),
                found == expected.end() ? std::nullopt : std::optional(found->second))
          << "after change " << i;
    }
  }
}

}  // namespace
}  // namespace infermesh::engine
