#include "lab/load/workload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "lab/shared/text_model.h"

namespace infermesh::lab {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kMooncake =
    "{\"timestamp\": 100, \"input_length\": 1200, \"output_length\": 50, \"hash_ids\": [0, 1, 2]}\n"
    "{\"timestamp\": 3100, \"input_length\": 1030, \"output_length\": 5, \"hash_ids\": [0, 1, "
    "7]}\n";

TEST(Trace, ReadsMooncakeRows) {
  const auto rows = parse_trace(kMooncake);
  ASSERT_TRUE(rows.has_value()) << rows.error().detail;
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[0].at, Duration(0)) << "times count from the first row";
  EXPECT_EQ((*rows)[1].at, Duration(3s));
  EXPECT_EQ((*rows)[0].input_tokens, 1200u);
  EXPECT_EQ((*rows)[0].output_tokens, 50u);
  EXPECT_THAT((*rows)[1].blocks, ElementsAre(0, 1, 7));
}

TEST(Trace, ReadsAzureRows) {
  const auto rows = parse_trace(
      "TIMESTAMP,ContextTokens,GeneratedTokens\r\n"
      "2023-11-16 18:15:46.6805900,374,44\r\n"
      "2023-11-17 18:15:50.9951690,396,109\r\n");
  ASSERT_TRUE(rows.has_value()) << rows.error().detail;
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[1].at, Duration(24h + 4s + 314'579us));
  EXPECT_EQ((*rows)[1].input_tokens, 396u);
  EXPECT_EQ((*rows)[1].output_tokens, 109u);
  EXPECT_TRUE((*rows)[1].blocks.empty());
}

TEST(Trace, ARowThatIsEarlierThanTheOneBeforeItComesWithIt) {
  const auto rows = parse_trace(
      "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:50,1,1\n"
      "2023-11-16 18:15:46,1,1\n2023-11-16 18:15:52,1,1\n");
  ASSERT_TRUE(rows.has_value()) << rows.error().detail;
  EXPECT_EQ((*rows)[1].at, Duration(0));
  EXPECT_EQ((*rows)[2].at, Duration(2s));
}

TEST(Trace, NamesTheLineThatItCannotRead) {
  const auto mooncake = parse_trace(std::string(kMooncake) + "{\"timestamp\": 1}\n");
  ASSERT_FALSE(mooncake.has_value());
  EXPECT_THAT(mooncake.error().detail, StartsWith("trace line 3: not a row of a Mooncake trace"));
  EXPECT_THAT(parse_trace("TIMESTAMP,A,B\n2023-13-16 18:15:46,1,2\n").error().detail,
              HasSubstr("line 2"));
  EXPECT_THAT(
      parse_trace("{\"timestamp\":1,\"input_length\":1,\"output_length\":1,\"hash_ids\":[1,x]}")
          .error()
          .detail,
      HasSubstr("line 1"));
  EXPECT_EQ(parse_trace("TIMESTAMP,ContextTokens,GeneratedTokens\n").error().detail,
            "the trace has no rows");
}

TEST(Workload, TextIsFourBytesAToken) {
  PlannedRequest request;
  request.prompt = {{1, 10}, {2, 5}};
  EXPECT_EQ(request.prompt_tokens(), 15u);
  EXPECT_EQ(request.prompt_text().size(), 15 * kTokenBytes);
}

TEST(Workload, AClosedLoopHasNoTimesAndNeverEnds) {
  Workload workload(WorkloadOptions{});
  EXPECT_FALSE(workload.timed());
  for (int i = 0; i < 1000; ++i) {
    const auto request = workload.next();
    ASSERT_TRUE(request.has_value());
    EXPECT_EQ(request->at, std::nullopt);
  }
}

TEST(Workload, UniquePartsDifferAndPrefixesRepeat) {
  WorkloadOptions options;
  options.prefixes = 3;
  options.prefix_tokens = 32;
  options.unique_tokens = 8;
  Workload workload(options);
  std::set<std::string> prefixes, wholes;
  for (int i = 0; i < 60; ++i) {
    const std::string text = workload.next()->prompt_text();
    ASSERT_EQ(text.size(), 40 * kTokenBytes);
    prefixes.insert(text.substr(0, 32 * kTokenBytes));
    wholes.insert(text);
  }
  EXPECT_EQ(prefixes.size(), 3u);
  EXPECT_EQ(wholes.size(), 60u);
}

TEST(Workload, TheSameSeedGivesTheSameRequests) {
  WorkloadOptions options;
  options.prefixes = 5;
  options.rate = 10;
  Workload a(options), b(options);
  options.seed = 2;
  Workload other(options);
  int same = 0;
  for (int i = 0; i < 50; ++i) {
    const auto left = a.next(), right = b.next(), third = other.next();
    EXPECT_EQ(left->prompt, right->prompt);
    EXPECT_EQ(left->at, right->at);
    same += left->at == third->at ? 1 : 0;
  }
  EXPECT_EQ(same, 0);
}

TEST(Workload, ArrivalsComeAtTheirRate) {
  WorkloadOptions options;
  options.rate = 50;
  Workload workload(options);
  EXPECT_TRUE(workload.timed());
  Duration last{0};
  Duration at{0};
  double squares = 0;
  for (int i = 0; i < 10'000; ++i) {
    at = *workload.next()->at;
    ASSERT_GE(at, last);
    const double gap = to_seconds(at - last) * 50;
    squares += gap * gap;
    last = at;
  }
  EXPECT_NEAR(to_seconds(at), 200, 8);
  EXPECT_NEAR(squares / 10'000, 2.0, 0.2)
      << "exponential gaps: the second moment is twice the squared mean";
}

TEST(Workload, ATraceKeepsItsPrefixesAndEnds) {
  Workload workload({}, parse_trace(kMooncake).value());
  const auto first = workload.next();
  const auto second = workload.next();
  EXPECT_FALSE(workload.next().has_value());
  EXPECT_EQ(first->prompt_tokens(), 1200u);
  EXPECT_EQ(second->prompt_tokens(), 1030u);
  EXPECT_EQ(first->output_tokens, 50u);
  EXPECT_EQ(second->at, Duration(3s));
  const std::string a = first->prompt_text(), b = second->prompt_text();
  EXPECT_EQ(a.substr(0, 1024 * kTokenBytes), b.substr(0, 1024 * kTokenBytes))
      << "two shared blocks of 512";
  EXPECT_NE(a.substr(1024 * kTokenBytes, 24), b.substr(1024 * kTokenBytes, 24));
}

TEST(Workload, ABlockOfATraceIsTheSameTextInEveryRun) {
  WorkloadOptions options;
  options.seed = 7;
  const auto rows = parse_trace(kMooncake).value();
  Workload one({}, rows), other(options, rows);
  const auto a = one.next(), b = other.next();
  EXPECT_EQ(a->prompt_text(), b->prompt_text());
}

TEST(Workload, ATraceIsScaledInTimeAndLength) {
  WorkloadOptions options;
  options.time_scale = 2;
  options.length_scale = 0.25;
  Workload workload(options, parse_trace(kMooncake).value());
  const auto first = workload.next();
  const auto second = workload.next();
  EXPECT_EQ(second->at, Duration(1500ms));
  EXPECT_EQ(first->prompt_tokens(), 300u);
  EXPECT_EQ(first->output_tokens, 13u);
  EXPECT_EQ(second->output_tokens, 1u) << "never none";
  EXPECT_EQ(first->prompt_text().substr(0, 256 * kTokenBytes),
            second->prompt_text().substr(0, 256 * kTokenBytes));
}

TEST(Workload, TokensBeyondTheBlocksOfATraceAreTheirOwn) {
  const auto rows = parse_trace(
      "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,40,1\n"
      "2023-11-16 18:15:46,40,1\n");
  Workload workload({}, rows.value());
  const auto a = workload.next(), b = workload.next();
  EXPECT_EQ(a->prompt_tokens(), 40u);
  EXPECT_NE(a->prompt_text(), b->prompt_text());
}

}  // namespace
}  // namespace infermesh::lab
