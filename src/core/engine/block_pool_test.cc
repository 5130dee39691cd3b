#include "core/engine/block_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/rng.h"

namespace infermesh::engine {
namespace {

using Blocks = std::vector<BlockPool::Block>;

// A sequence that holds as many blocks as there are hashes, each remembered.
Blocks fill(BlockPool& pool, const std::vector<BlockHash>& hashes) {
  Blocks held;
  EXPECT_TRUE(pool.grow(held, hashes.size()));
  for (std::size_t i = 0; i < hashes.size(); ++i) pool.remember(held[i], hashes[i]);
  return held;
}

TEST(BlockPool, GivesEachBlockOnce) {
  BlockPool pool(4);
  Blocks held;
  ASSERT_TRUE(pool.grow(held, 4));
  std::sort(held.begin(), held.end());
  EXPECT_EQ(held, (Blocks{0, 1, 2, 3}));
  EXPECT_EQ(pool.free(), 0u);
  EXPECT_DOUBLE_EQ(pool.used_fraction(), 1.0);
}

TEST(BlockPool, RefusesWholeWhenNotEnoughIsFree) {
  BlockPool pool(4);
  Blocks first;
  ASSERT_TRUE(pool.grow(first, 3));
  Blocks second;
  EXPECT_FALSE(pool.grow(second, 2));
  EXPECT_TRUE(second.empty());
  EXPECT_EQ(pool.free(), 1u);
}

TEST(BlockPool, GrowingToWhatIsHeldIsNothing) {
  BlockPool pool(2);
  Blocks held;
  ASSERT_TRUE(pool.grow(held, 2));
  EXPECT_TRUE(pool.grow(held, 1));
  EXPECT_EQ(held.size(), 2u);
}

TEST(BlockPool, MatchesTheLongestCachedPrefix) {
  BlockPool pool(8);
  Blocks held = fill(pool, {11, 12, 13});
  const std::vector<BlockHash> longer{11, 12, 13, 14};
  const std::vector<BlockHash> forked{11, 99, 13};
  EXPECT_EQ(pool.match(longer), 3u);
  EXPECT_EQ(pool.match(forked), 1u);
  EXPECT_EQ(pool.match({}), 0u);
}

TEST(BlockPool, SharesReferencedBlocks) {
  BlockPool pool(4);
  Blocks first = fill(pool, {11, 12});
  Blocks second;
  const std::vector<BlockHash> hashes{11, 12};
  ASSERT_TRUE(pool.admit(hashes, 3, second));
  EXPECT_EQ(second[0], first[0]);
  EXPECT_EQ(second[1], first[1]);
  EXPECT_EQ(pool.free(), 1u);

  pool.release(first);
  EXPECT_EQ(pool.free(), 1u) << "the second still uses them";
  pool.release(second);
  EXPECT_EQ(pool.free(), 4u);
  EXPECT_EQ(pool.match(hashes), 2u) << "released content stays";
}

TEST(BlockPool, AdmissionCountsCachedFreeBlocksAsTaken) {
  BlockPool pool(3);
  Blocks first = fill(pool, {11, 12});
  pool.release(first);
  const std::vector<BlockHash> hashes{11, 12};
  Blocks second;
  EXPECT_FALSE(pool.admit(hashes, 4, second)) << "two cached and two fresh do not fit in three";
  EXPECT_TRUE(second.empty());
  EXPECT_EQ(pool.free(), 3u);
  ASSERT_TRUE(pool.admit(hashes, 3, second));
  EXPECT_EQ(pool.free(), 0u);
  EXPECT_EQ(pool.match(hashes), 2u) << "the fresh block did not push out a cached one";
}

TEST(BlockPool, EvictsTheLeastRecentlyReleasedFirst) {
  BlockPool pool(4);
  Blocks old = fill(pool, {11, 12});
  Blocks young = fill(pool, {21, 22});
  pool.release(old);
  pool.release(young);
  Blocks fresh;
  ASSERT_TRUE(pool.grow(fresh, 2));
  EXPECT_EQ(pool.match(std::vector<BlockHash>{11}), 0u);
  EXPECT_EQ(pool.match(std::vector<BlockHash>{21, 22}), 2u);
}

TEST(BlockPool, ForgetsTheEndOfAPrefixBeforeItsBeginning) {
  BlockPool pool(3);
  Blocks held = fill(pool, {11, 12, 13});
  pool.release(held);
  Blocks fresh;
  ASSERT_TRUE(pool.grow(fresh, 1));
  EXPECT_EQ(pool.match(std::vector<BlockHash>{11, 12, 13}), 2u);
}

TEST(BlockPool, ReusesBlocksWithoutContentFirst) {
  BlockPool pool(3);
  Blocks cached = fill(pool, {11});
  pool.release(cached);
  Blocks nameless;
  ASSERT_TRUE(pool.grow(nameless, 2));
  pool.release(nameless);
  ASSERT_TRUE(pool.grow(nameless, 2));
  EXPECT_EQ(pool.match(std::vector<BlockHash>{11}), 1u);
}

TEST(BlockPool, UsingAPrefixAgainSavesItFromEviction) {
  BlockPool pool(4);
  Blocks a = fill(pool, {11, 12});
  Blocks b = fill(pool, {21, 22});
  pool.release(a);
  pool.release(b);
  Blocks again;
  ASSERT_TRUE(pool.admit(std::vector<BlockHash>{11, 12}, 2, again));
  pool.release(again);
  Blocks fresh;
  ASSERT_TRUE(pool.grow(fresh, 2));
  EXPECT_EQ(pool.match(std::vector<BlockHash>{11, 12}), 2u);
  EXPECT_EQ(pool.match(std::vector<BlockHash>{21}), 0u);
}

TEST(BlockPool, TheFirstBlockWithAHashKeepsIt) {
  BlockPool pool(4);
  Blocks first = fill(pool, {11});
  Blocks second = fill(pool, {11});
  EXPECT_EQ(pool.cached(), 1u);
  pool.release(second);
  pool.release(first);
  Blocks found;
  ASSERT_TRUE(pool.admit(std::vector<BlockHash>{11}, 1, found));
  EXPECT_EQ(found[0], 0u);
}

TEST(BlockPool, ForgetUnusedKeepsWhatIsInUse) {
  BlockPool pool(4);
  Blocks used = fill(pool, {11});
  Blocks unused = fill(pool, {21});
  pool.release(unused);
  pool.forget_unused();
  EXPECT_EQ(pool.match(std::vector<BlockHash>{11}), 1u);
  EXPECT_EQ(pool.match(std::vector<BlockHash>{21}), 0u);
  EXPECT_EQ(pool.free(), 3u);
}

// Whatever the order of admissions and releases: a block has one owner or a shared hash, counts add
// up, and releasing all gives all back.
TEST(BlockPool, KeepsItsAccountsOverRandomUse) {
  constexpr std::uint64_t kSeed = 42;
  SCOPED_TRACE(::testing::Message() << "seed " << kSeed);
  Rng rng(kSeed);
  BlockPool pool(32);
  std::vector<Blocks> sequences;
  for (int round = 0; round < 5'000; ++round) {
    if (rng.below(3) > 0) {
      std::vector<BlockHash> hashes;
      BlockHash chain = 1 + rng.below(4);
      for (std::uint64_t i = rng.below(6); i > 0; --i) {
        hashes.push_back(chain);
        chain = chain * 31 + rng.below(2);
      }
      hashes.resize(pool.match(hashes));
      Blocks held;
      if (!pool.admit(hashes, hashes.size() + rng.below(4), held)) continue;
      for (std::size_t i = hashes.size(); i < held.size(); ++i)
        pool.remember(held[i], 1 + rng.next() / 2);
      sequences.push_back(std::move(held));
    } else if (!sequences.empty()) {
      const std::size_t victim = rng.below(sequences.size());
      pool.release(sequences[victim]);
      sequences.erase(sequences.begin() + static_cast<std::ptrdiff_t>(victim));
    }
    std::map<BlockPool::Block, int> owners;
    for (const auto& held : sequences) {
      for (const auto block : held) ++owners[block];
    }
    ASSERT_EQ(pool.free(), 32u - owners.size()) << "round " << round;
    ASSERT_LE(pool.cached(), 32u);
  }
  for (auto& held : sequences) pool.release(held);
  EXPECT_EQ(pool.free(), 32u);
}

}  // namespace
}  // namespace infermesh::engine
