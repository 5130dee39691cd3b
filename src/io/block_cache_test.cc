#include "io/block_cache.h"

#include <gtest/gtest.h>

#include <vector>

namespace infermesh::io {
namespace {

void* block(std::size_t size) {
  return std::malloc(BlockCache::rounded(size));
}

TEST(BlockCache, ABlockIsAtLeastAsLargeAsAskedAndAtMostAStepLarger) {
  for (std::size_t size = 0; size <= BlockCache::kBlockMax; ++size) {
    EXPECT_GE(BlockCache::rounded(size), std::max<std::size_t>(size, sizeof(void*)));
    EXPECT_LT(BlockCache::rounded(size), size + (size <= 1032 ? 16 : 128));
  }
}

TEST(BlockCache, WhatWasGivenIsTakenAgainBySizesThatFit) {
  BlockCache cache;
  cache.open();
  void* given = block(100);
  ASSERT_TRUE(cache.give(given, 100));
  EXPECT_EQ(cache.take(200), nullptr);
  EXPECT_EQ(cache.take(99), given) << "the same step";
  EXPECT_EQ(cache.take(99), nullptr);
  EXPECT_EQ(cache.kept_bytes(), 0u);
  std::free(given);
}

TEST(BlockCache, KeepsABoundedAmountOfEachSize) {
  BlockCache cache;
  cache.open();
  for (const std::size_t size : {1u, 500u, 4104u}) {
    std::vector<void*> refused;
    for (std::size_t sum = 0; sum < 4 * BlockCache::kShelfBytes; sum += size) {
      void* more = block(size);
      if (!cache.give(more, size)) refused.push_back(more);
    }
    EXPECT_FALSE(refused.empty());
    for (void* more : refused) std::free(more);
  }
  EXPECT_LE(cache.kept_bytes(), 3 * (BlockCache::kShelfBytes + BlockCache::kBlockMax));
  cache.close();
  EXPECT_EQ(cache.kept_bytes(), 0u);
}

TEST(BlockCache, ClosedItKeepsNothing) {
  BlockCache cache;
  void* refused = block(64);
  EXPECT_FALSE(cache.give(refused, 64));
  std::free(refused);
}

}  // namespace
}  // namespace infermesh::io
