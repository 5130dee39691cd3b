#include "lab/shared/text_model.h"

#include <gtest/gtest.h>

#include <set>

namespace infermesh::lab {
namespace {

std::string text_of(std::size_t bytes, char start) {
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i)
    text += static_cast<char>(start + static_cast<int>(i % 20));
  return text;
}

TEST(BlockChain, AFourByteTokenAndASixteenTokenBlock) {
  BlockChain chain(1);
  chain.add(text_of(129, 'a'));
  EXPECT_EQ(chain.tokens(), Tokens(33)) << "the started token counts";
  EXPECT_EQ(chain.blocks().size(), 2u);
}

TEST(BlockChain, AnEmptyTextIsOneToken) {
  EXPECT_EQ(BlockChain(1).tokens(), Tokens(1));
}

TEST(BlockChain, PiecesMakeNoDifference) {
  const std::string text = text_of(1000, 'a');
  BlockChain whole(7);
  whole.add(text);
  for (const std::size_t size : {1u, 3u, 63u, 64u, 65u, 999u}) {
    BlockChain pieces(7);
    for (std::size_t at = 0; at < text.size(); at += size) pieces.add(text.substr(at, size));
    EXPECT_EQ(pieces.blocks(), whole.blocks()) << size;
    EXPECT_EQ(pieces.hash(), whole.hash()) << size;
  }
}

TEST(BlockChain, ABlockHashesEverythingBeforeIt) {
  BlockChain a(1);
  a.add(text_of(64, 'a') + text_of(64, 'x'));
  BlockChain b(1);
  b.add(text_of(64, 'b') + text_of(64, 'x'));
  EXPECT_NE(a.blocks()[0], b.blocks()[0]);
  EXPECT_NE(a.blocks()[1], b.blocks()[1]) << "same block text, other prefix";
}

TEST(BlockChain, SharedPrefixesShareTheirBlocks) {
  BlockChain a(1);
  a.add(text_of(128, 'a') + "one");
  BlockChain b(1);
  b.add(text_of(128, 'a') + "another end");
  EXPECT_EQ(a.blocks(), b.blocks());
  EXPECT_NE(a.hash(), b.hash());
}

TEST(BlockChain, SaltsKeepTenantsApart) {
  BlockChain a(1);
  BlockChain b(2);
  a.add(text_of(64, 'a'));
  b.add(text_of(64, 'a'));
  EXPECT_NE(a.blocks(), b.blocks());
}

TEST(BlockChain, TokenIdsCountExactly) {
  BlockChain chain(1);
  for (std::uint32_t i = 0; i < 17; ++i) chain.add_token(i);
  EXPECT_EQ(chain.tokens(), Tokens(17));
  EXPECT_EQ(chain.blocks().size(), 1u);
}

TEST(TextModel, EqualPromptsGetEqualAnswers) {
  std::set<std::string_view> words;
  for (std::uint64_t i = 0; i < 200; ++i) {
    EXPECT_EQ(output_token(5, i), output_token(5, i));
    EXPECT_EQ(output_token(5, i).size(), kTokenBytes);
    words.insert(output_token(5, i));
  }
  EXPECT_GT(words.size(), 20u);
}

TEST(TextModel, NaturalLengthsSpreadAroundTheirMean) {
  double sum = 0;
  for (std::uint64_t hash = 1; hash <= 20'000; ++hash) {
    const std::uint64_t length = natural_length(hash, 100);
    ASSERT_GE(length, 1u);
    ASSERT_LE(length, 1600u);
    sum += static_cast<double>(length);
  }
  EXPECT_NEAR(sum / 20'000, 100, 3);
}

TEST(TextModel, EmbeddingsAreDeterministicAndBounded) {
  EXPECT_EQ(embedding_value(9, 3), embedding_value(9, 3));
  EXPECT_NE(embedding_value(9, 3), embedding_value(9, 4));
  for (std::uint64_t i = 0; i < 1000; ++i) {
    ASSERT_GE(embedding_value(i, i), -1.0);
    ASSERT_LT(embedding_value(i, i), 1.0);
  }
}

}  // namespace
}  // namespace infermesh::lab
