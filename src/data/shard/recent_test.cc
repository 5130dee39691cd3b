#include "data/shard/recent.h"

#include <gtest/gtest.h>

namespace infermesh::data {
namespace {

TEST(Recent, KeepsTheLastTimesToFirstToken) {
  Recent recent;
  for (int i = 0; i < 1000; ++i) recent.add_ttft(1s * i);
  const auto figures = recent.figures("m", Instant{});
  ASSERT_EQ(figures.ttft_seconds.size(), Recent::kTtftsKept);
  for (const double seconds : figures.ttft_seconds) EXPECT_GE(seconds, 1000.0 - Recent::kTtftsKept);
}

TEST(Recent, TokensOfLongAgoDoNotCount) {
  Recent recent;
  const Instant start = Instant(Duration(100s));
  recent.add_output(Tokens(500), start);
  recent.add_output(Tokens(500), start + 1s);
  EXPECT_DOUBLE_EQ(recent.figures("m", start + 2s).output_tokens_per_second, 100.0);
  EXPECT_DOUBLE_EQ(recent.figures("m", start + 10s).output_tokens_per_second, 50.0);
  EXPECT_DOUBLE_EQ(recent.figures("m", start + 60s).output_tokens_per_second, 0.0);
  recent.add_output(Tokens(10), start + 60s);
  EXPECT_DOUBLE_EQ(recent.figures("m", start + 60s).output_tokens_per_second, 1.0);
}

TEST(Recent, NoMoreThanThePromptCountsAsCached) {
  Recent recent;
  recent.add_prompt(Tokens(100), Tokens(60));
  recent.add_prompt(Tokens(10), Tokens(50));
  const auto figures = recent.figures("m", Instant{});
  EXPECT_EQ(figures.prompt_tokens, 110);
  EXPECT_EQ(figures.cached_tokens, 70);
}

}  // namespace
}  // namespace infermesh::data
