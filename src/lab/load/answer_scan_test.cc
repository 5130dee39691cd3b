#include "lab/load/answer_scan.h"

#include <gtest/gtest.h>

namespace infermesh::lab {
namespace {

constexpr std::string_view kStream =
    "data: "
    "{\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}"
    "\n\n"
    "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one \"}}]}\n\n"
    ": ping\n\n"
    "data: {\"id\":\"x\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"two "
    "\"}}],\"usage\":null}\n\n"
    "data: "
    "{\"id\":\"x\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"total_tokens\":11,\"completion_"
    "tokens\":2,"
    "\"prompt_tokens_details\":{\"cached_tokens\":4}}}\r\n\r\n"
    "data: [DONE]\n\n";

TEST(AnswerScan, FindsTokensUsageAndTheEnd) {
  BenchAnswer answer;
  LatencyHistogram gaps;
  AnswerScan scan(answer, &gaps);
  scan.feed_stream(kStream, Instant(5s));
  EXPECT_TRUE(scan.done());
  EXPECT_FALSE(scan.failed());
  EXPECT_EQ(answer.token_frames, 2u) << "the role and the usage are no tokens";
  EXPECT_EQ(answer.prompt_tokens, 9u);
  EXPECT_EQ(answer.completion_tokens, 2u);
  EXPECT_EQ(answer.cached_tokens, 4u);
  EXPECT_EQ(gaps.count(), 1u);
}

TEST(AnswerScan, PiecesMakeNoDifference) {
  for (std::size_t size = 1; size < 40; ++size) {
    BenchAnswer answer;
    AnswerScan scan(answer, nullptr);
    for (std::size_t at = 0; at < kStream.size(); at += size) {
      scan.feed_stream(kStream.substr(at, size), Instant(Duration(1ms) * static_cast<int>(at)));
    }
    EXPECT_TRUE(scan.done()) << size;
    EXPECT_EQ(answer.token_frames, 2u) << size;
    EXPECT_EQ(answer.completion_tokens, 2u) << size;
    EXPECT_LT(answer.first_token, answer.last_token) << size;
  }
}

TEST(AnswerScan, AnErrorFrameFailsTheAnswerInSpiteOfDone) {
  BenchAnswer answer;
  AnswerScan scan(answer, nullptr);
  scan.feed_stream("data: {\"error\":{\"message\":\"out of memory\"}}\n\ndata: [DONE]\n\n",
                   Instant{});
  EXPECT_TRUE(scan.failed());
  EXPECT_EQ(answer.message, "{\"error\":{\"message\":\"out of memory\"}}");
}

TEST(AnswerScan, ACompletionsTextIsAToken) {
  BenchAnswer answer;
  AnswerScan scan(answer, nullptr);
  scan.feed_stream(
      "data: {\"choices\":[{\"index\":0,\"text\":\"a\"}]}\n\ndata: "
      "{\"choices\":[{\"text\":\"\"}]}\n\n",
      Instant{});
  EXPECT_EQ(answer.token_frames, 1u);
}

TEST(AnswerScan, ReadsTheUsageOfAWholeAnswer) {
  BenchAnswer answer;
  AnswerScan scan(answer, nullptr);
  scan.feed_whole("{\"choices\":[],\"usage\":{\"prompt_tokens\": 12,");
  scan.feed_whole("\"completion_tokens\":3}}");
  scan.end_whole();
  EXPECT_TRUE(answer.usage_seen);
  EXPECT_EQ(answer.prompt_tokens, 12u);
  EXPECT_EQ(answer.completion_tokens, 3u);
  EXPECT_EQ(answer.cached_tokens, 0u);
}

}  // namespace
}  // namespace infermesh::lab
