#include "core/prefix/block_hasher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>

#include "base/rng.h"

namespace infermesh::prefix {
namespace {

std::string text_of(std::size_t bytes, std::uint64_t seed = 1) {
  Rng rng(seed);
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i) text.push_back(static_cast<char>('a' + rng.below(26)));
  return text;
}

std::vector<BlockHash> hashes(std::string_view text, std::uint32_t block = 256,
                              std::uint64_t salt = 0) {
  BlockHasher hasher(block, salt);
  hasher.feed(text);
  return {hasher.blocks().begin(), hasher.blocks().end()};
}

TEST(BlockHasher, HashesOnlyFullBlocks) {
  EXPECT_EQ(hashes(text_of(255)).size(), 0u);
  EXPECT_EQ(hashes(text_of(256)).size(), 1u);
  EXPECT_EQ(hashes(text_of(1000)).size(), 3u);
}

TEST(BlockHasher, PiecesDoNotChangeTheHashes) {
  const std::string text = text_of(3000);
  const auto whole = hashes(text, 128);
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Rng rng(seed);
    BlockHasher hasher(128, 0);
    for (std::string_view rest = text; !rest.empty();) {
      const std::size_t size = std::min<std::size_t>(rest.size(), rng.below(300));
      hasher.feed(rest.substr(0, size));
      rest.remove_prefix(size);
    }
    EXPECT_TRUE(std::ranges::equal(hasher.blocks(), whole)) << "seed " << seed;
  }
}

TEST(BlockHasher, ADifferenceChangesItsBlockAndAllAfterIt) {
  const std::string text = text_of(1024);
  std::string changed = text;
  changed[300] = '!';
  const auto a = hashes(text);
  const auto b = hashes(changed);
  EXPECT_EQ(a[0], b[0]);
  for (std::size_t i = 1; i < 4; ++i) EXPECT_NE(a[i], b[i]) << i;
}

TEST(BlockHasher, EqualBlocksAtDifferentPlacesDiffer) {
  const auto blocks = hashes(std::string(1024, 'x'));
  EXPECT_NE(blocks[0], blocks[1]);
  EXPECT_NE(blocks[1], blocks[2]);
}

TEST(BlockHasher, SaltAndMixKeepPromptsApart) {
  const std::string text = text_of(512);
  EXPECT_NE(hashes(text, 256, 1)[0], hashes(text, 256, 2)[0]);
  BlockHasher mixed(256, 1);
  mixed.mix(7);
  mixed.feed(text);
  EXPECT_NE(mixed.blocks()[0], hashes(text, 256, 1)[0]);
}

TEST(BlockHasher, KeepsNoMoreBlocksThanItsLimitButCountsTheBytes) {
  BlockHasher hasher(16, 0, 3);
  const std::string text = text_of(1000);
  hasher.feed(text);
  EXPECT_EQ(hasher.blocks().size(), 3u);
  EXPECT_TRUE(hasher.full());
  EXPECT_EQ(hasher.bytes(), 1000U);
  const auto all = hashes(text, 16);
  EXPECT_TRUE(std::ranges::equal(hasher.blocks(), std::span(all).first(3)));
}

TEST(BlockHasher, EachBitChangesHalfOfTheHash) {
  const std::string text = text_of(272);
  for (const std::size_t block : {256U, 272U, 40U}) {
    const BlockHash before = hashes(text.substr(0, block), static_cast<std::uint32_t>(block))[0];
    int changed = 0;
    for (std::size_t bit = 0; bit < 8 * block; ++bit) {
      std::string other = text.substr(0, block);
      other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << (bit % 8)));
      const int bits = std::popcount(before ^ hashes(other, static_cast<std::uint32_t>(block))[0]);
      EXPECT_GT(bits, 10) << bit;
      changed += bits;
    }
    EXPECT_NEAR(changed / (8.0 * static_cast<double>(block)), 32, 1) << block;
  }
}

TEST(BlockHasher, SimilarBlocksNeverMeet) {
  std::vector<BlockHash> all;
  for (int i = 0; i < 100'000; ++i) {
    std::string block(256, ' ');
    const std::string number = std::to_string(i);
    block.replace(static_cast<std::size_t>(i % 16) * 15, number.size(), number);
    all.push_back(hashes(block)[0]);
  }
  std::ranges::sort(all);
  EXPECT_EQ(std::ranges::adjacent_find(all), all.end());
}

// The same on every machine and in every version: what one router keeps, another may read.
TEST(BlockHasher, TheHashesStayWhatTheyAre) {
  const auto blocks = hashes(text_of(600));
  ASSERT_EQ(blocks.size(), 2U);
  EXPECT_EQ(blocks[0], 8165077777073874950U);
  EXPECT_EQ(blocks[1], 16119482270502089041U);
  EXPECT_EQ(hashes(text_of(600), 100, 7)[5], 13724297319090248409U);
}

TEST(BlockHasher, DigestCoversTheUnfinishedBlock) {
  BlockHasher a(64, 0, 0);
  BlockHasher b(64, 0, 0);
  a.feed(text_of(100));
  b.feed(text_of(50));
  EXPECT_NE(a.digest(), b.digest());
  b.feed(std::string_view(text_of(100)).substr(50));
  EXPECT_EQ(a.digest(), b.digest());
  EXPECT_TRUE(a.blocks().empty());
}

TEST(BlockHasher, RestartForgetsTextAndMixedSalts) {
  const std::string text = text_of(256);
  BlockHasher hasher;
  hasher.mix(9);
  hasher.feed("something");
  hasher.restart();
  hasher.feed(text);
  EXPECT_TRUE(std::ranges::equal(hasher.blocks(), hashes(text)));
}

}  // namespace
}  // namespace infermesh::prefix
