#include "core/prefix/prefix_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/rng.h"

namespace infermesh::prefix {
namespace {

using testing::Each;
using testing::ElementsAre;

constexpr Instant kStart{100h};

EndpointId id(unsigned value) {
  return EndpointId(static_cast<std::uint16_t>(value));
}

std::vector<BlockHash> chain(std::uint64_t seed, std::size_t length) {
  Rng rng(seed);
  std::vector<BlockHash> blocks(length);
  for (BlockHash& block : blocks) block = rng.next();
  return blocks;
}

std::vector<EndpointId> ids(unsigned count) {
  std::vector<EndpointId> all;
  for (unsigned i = 0; i < count; ++i) all.push_back(id(i));
  return all;
}

std::vector<std::uint32_t> match(const PrefixIndex& index, std::span<const BlockHash> blocks,
                                 std::span<const EndpointId> candidates, Instant now) {
  std::vector<std::uint32_t> cached(candidates.size(), 77);
  index.match(blocks, candidates, now, cached);
  return cached;
}

struct PrefixIndexTest : testing::Test {
  PrefixIndex index{Bytes(4 << 20), 1h};
};

TEST_F(PrefixIndexTest, KnowsNothingAtFirst) {
  EXPECT_THAT(match(index, chain(1, 50), ids(3), kStart), Each(0));
  EXPECT_THAT(match(index, {}, ids(3), kStart), Each(0));
}

TEST_F(PrefixIndexTest, CountsEachCandidatesBlocksFromTheBeginning) {
  const auto blocks = chain(1, 1600);
  for (const unsigned length : {1U, 2U, 3U, 7U, 64U, 999U, 1600U}) {
    index.insert(std::span(blocks).first(length), id(length % 40), kStart);
  }
  const std::vector candidates{id(0), id(1), id(2), id(3), id(5), id(7), id(24), id(39)};
  EXPECT_THAT(match(index, blocks, candidates, kStart), ElementsAre(1600, 1, 2, 3, 0, 7, 64, 992));
}

TEST_F(PrefixIndexTest, DoesNotCountBlocksAfterADifference) {
  const auto mine = chain(1, 40);
  auto other = chain(2, 40);
  std::copy_n(mine.begin(), 10, other.begin());
  index.insert(mine, id(0), kStart);
  EXPECT_THAT(match(index, other, ids(2), kStart), ElementsAre(10, 0));
}

TEST_F(PrefixIndexTest, ForgetsAnEndpointAtOnceAndLearnsItAgain) {
  const auto blocks = chain(1, 20);
  index.insert(blocks, id(0), kStart);
  index.insert(blocks, id(1), kStart);
  index.forget(id(0));
  EXPECT_THAT(match(index, blocks, ids(2), kStart), ElementsAre(0, 20));
  index.insert(std::span(blocks).first(5), id(0), kStart);
  EXPECT_THAT(match(index, blocks, ids(2), kStart), ElementsAre(5, 20));
}

TEST_F(PrefixIndexTest, EntriesEndWithTheirTimeUnlessRefreshed) {
  const auto blocks = chain(1, 20);
  index.insert(blocks, id(0), kStart);
  index.insert(std::span(blocks).first(8), id(0), kStart + 50min);
  EXPECT_THAT(match(index, blocks, ids(1), kStart + 59min), ElementsAre(20));
  EXPECT_THAT(match(index, blocks, ids(1), kStart + 70min), ElementsAre(8));
}

TEST_F(PrefixIndexTest, AnEnginesOwnCacheSizeLimitsWhatItIsBelievedToHold) {
  index.set_capacity(id(0), 1000);
  const auto old = chain(1, 100);
  index.insert(old, id(0), kStart);
  index.insert(chain(2, 600), id(0), kStart + 1s);
  EXPECT_THAT(match(index, old, ids(1), kStart + 2s), ElementsAre(100));
  index.insert(old, id(0), kStart + 2s);  // refreshed: nothing new, so nothing is pushed out
  index.insert(chain(3, 600), id(0), kStart + 3s);
  EXPECT_THAT(match(index, old, ids(1), kStart + 4s), ElementsAre(100));
  index.insert(chain(4, 600), id(0), kStart + 5s);
  EXPECT_THAT(match(index, old, ids(1), kStart + 6s), ElementsAre(0));
}

TEST_F(PrefixIndexTest, AFullIndexKeepsTheLatest) {
  PrefixIndex small{Bytes(64 << 10), 1h};  // 4,096 slots
  constexpr std::size_t kPrompt = 50;
  const auto old = chain(1, 40 * kPrompt), fresh = chain(2, 40 * kPrompt);
  const auto insert = [&](std::span<const BlockHash> blocks, Instant now) {
    for (; !blocks.empty(); blocks = blocks.subspan(kPrompt)) {
      small.insert(blocks.first(kPrompt), id(0), now);
    }
  };
  insert(old, kStart);
  insert(fresh, kStart + 1min);
  std::uint32_t missing = 0;
  for (std::span<const BlockHash> left = fresh; !left.empty(); left = left.subspan(kPrompt)) {
    missing += kPrompt - match(small, left.first(kPrompt), ids(1), kStart + 1min)[0];
  }
  EXPECT_LT(missing, 200U);
}

TEST_F(PrefixIndexTest, LongRunsAreToldToASixteenthAndNeverTooLong) {
  for (std::size_t blocks = 0; blocks <= kPromptBlocksMax; ++blocks) {
    const std::uint32_t told = PrefixIndex::marked(blocks);
    ASSERT_LE(told, blocks);
    ASSERT_GE(told + told / 16, blocks) << blocks;
    ASSERT_TRUE(told == blocks || blocks > 64);
    ASSERT_EQ(PrefixIndex::marked(told), told);
  }
  const auto prompt = chain(5, kPromptBlocksMax);
  index.insert(prompt, id(3), kStart);
  EXPECT_THAT(match(index, prompt, ids(5), kStart), ElementsAre(0, 0, 0, kPromptBlocksMax, 0));
}

TEST_F(PrefixIndexTest, NeverTakesMoreThanItsBudget) {
  for (const std::int64_t budget : {64 << 10, (64 << 10) + 1, 100'000, 1'000'000, 3 << 20}) {
    const PrefixIndex any{Bytes(budget), 1h};
    EXPECT_LE(any.size(), Bytes(budget));
    EXPECT_GT(any.size(), Bytes(budget / 2 - 1));
  }
}

TEST_F(PrefixIndexTest, WhatIsUsedAgainOutlivesWhatIsNot) {
  PrefixIndex small{Bytes(64 << 10), 1h};  // 4,096 slots
  const auto used = chain(1, 1200), unused = chain(2, 1200), fresh = chain(3, 1600);
  const auto insert = [&](std::span<const BlockHash> blocks, Instant now) {
    for (const BlockHash& block : blocks) small.insert(std::span(&block, 1), id(0), now);
  };
  insert(used, kStart);
  insert(unused, kStart + 1min);
  insert(used, kStart + 2min);
  insert(fresh, kStart + 3min);
  const auto lost = [&](std::span<const BlockHash> blocks) {
    std::uint32_t count = 0;
    for (const BlockHash& block : blocks) {
      count += 1 - match(small, std::span(&block, 1), ids(1), kStart + 3min)[0];
    }
    return count;
  };
  EXPECT_GT(lost(unused), 100U);
  EXPECT_LT(lost(used), lost(unused) / 2);
}

TEST_F(PrefixIndexTest, AThousandHoldersOfOnePrefixAreAllKnown) {
  PrefixIndex large{Bytes(32 << 20), 1h};
  const auto blocks = chain(1, 30);
  for (const EndpointId holder : ids(1000)) large.insert(blocks, holder, kStart);
  const auto cached = match(large, blocks, ids(1000), kStart);
  EXPECT_GT(std::count(cached.begin(), cached.end(), 30U), 950);
}

TEST_F(PrefixIndexTest, RandomChainsAreCountedLikeAPlainScan) {
  PrefixIndex large{Bytes(64 << 20), 1h};
  Rng rng(11);
  for (int round = 0; round < 200; ++round) {
    const auto blocks = chain(rng.next(), 1 + rng.below(300));
    std::vector<std::uint32_t> expected;
    for (const EndpointId endpoint : ids(12)) {
      const auto length = static_cast<std::uint32_t>(rng.below(blocks.size() + 1));
      large.insert(std::span(blocks).first(length), endpoint, kStart);
      expected.push_back(PrefixIndex::marked(length));
    }
    ASSERT_EQ(match(large, blocks, ids(12), kStart), expected) << "round " << round;
    for (const EndpointId endpoint : ids(12)) large.forget(endpoint);
  }
}

TEST_F(PrefixIndexTest, ShardsMayWriteAndReadAtOnce) {
  PrefixIndex small{Bytes(64 << 10), 1h};
  const auto work = [&](std::uint64_t seed) {
    for (std::uint64_t i = 0; i < 200; ++i) {
      const auto blocks = chain(seed % 2 + i % 5, 64);
      small.insert(blocks, id(static_cast<unsigned>(seed)), kStart);
      for (const std::uint32_t count : match(small, blocks, ids(4), kStart)) EXPECT_LE(count, 64U);
      if (i % 50 == 0) small.forget(id(static_cast<unsigned>(seed)));
    }
  };
  std::thread other(work, 0);
  work(1);
  other.join();
}

}  // namespace
}  // namespace infermesh::prefix
