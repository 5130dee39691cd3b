#include "wire/engine/metrics_text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace infermesh::engines {
namespace {

constexpr std::array kWanted{
    WantedMetric{"vllm:num_requests_running", 1},
    WantedMetric{"vllm:num_requests_waiting", 2},
    WantedMetric{"vllm:prompt_tokens", 3},
    WantedMetric{"process_start_time_seconds", 4},
};
constexpr MetricTable kTable{kWanted};

std::vector<MetricSample> scan(std::string_view page) {
  std::vector<MetricSample> samples;
  MetricScanner scanner(page, kTable);
  MetricSample sample;
  while (scanner.next(sample)) samples.push_back(sample);
  return samples;
}

TEST(MetricsText, ASkippedNameSkipsNothingThatOnlyBeginsLikeIt) {
  const auto samples = scan(
      "vllm:num_requests{a=\"1\"} 1\nvllm:num_requests{a=\"2\"} 1\nvllm:num_requests 3\n"
      "vllm:num_requests_running 5\nvllm:num_requests 1\nvllm:num_requests\n"
      "vllm:num_requests_running{b=\"\"} 6\n");
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[0].value, 5);
  EXPECT_EQ(samples[1].value, 6);
}

TEST(MetricsText, ReadsWantedNamesAndSkipsTheRest) {
  const auto samples = scan(
      "# HELP vllm:num_requests_running Number\n"
      "# TYPE vllm:num_requests_running gauge\n"
      "vllm:num_requests_running{engine=\"0\"} 4.0\n"
      "vllm:num_requests_swapped{engine=\"0\"} 9\n"
      "process_start_time_seconds 1.79550127549e+09\n");
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[0].key, 1);
  EXPECT_EQ(samples[0].value, 4.0);
  EXPECT_EQ(samples[0].label("engine"), "0");
  EXPECT_EQ(samples[1].key, 4);
  EXPECT_DOUBLE_EQ(samples[1].value, 1.79550127549e9);
  EXPECT_FALSE(samples[1].label("engine"));
}

TEST(MetricsText, MatchesWholeNamesOnly) {
  EXPECT_TRUE(scan("vllm:num_requests_waiting_by_reason{reason=\"capacity\"} 4\n").empty());
  EXPECT_TRUE(scan("vllm:num_requests_wait 4\nvllm:prompt_tokens_created 4\n").empty());
  EXPECT_TRUE(scan("xvllm:prompt_tokens 4\n").empty());
}

TEST(MetricsText, TakesTotalAndRewrittenColonForTheSameMetric) {
  for (const char* line : {"vllm:prompt_tokens 7", "vllm:prompt_tokens_total 7",
                           "vllm_prompt_tokens 7", "vllm_prompt_tokens_total{} 7\r"}) {
    const auto samples = scan(line);
    ASSERT_EQ(samples.size(), 1u) << line;
    EXPECT_EQ(samples[0].key, 3) << line;
    EXPECT_EQ(samples[0].value, 7) << line;
  }
}

TEST(MetricsText, ReadsEveryFormOfValue) {
  const auto value = [](const std::string& text) {
    const auto samples = scan("vllm:prompt_tokens " + text);
    return samples.empty() ? -12345.0 : samples[0].value;
  };
  EXPECT_EQ(value("1.04E7"), 1.04e7);
  EXPECT_EQ(value("+3"), 3);
  EXPECT_EQ(value("-0.5"), -0.5);
  EXPECT_TRUE(std::isnan(value("NaN")));
  EXPECT_EQ(value("+Inf"), HUGE_VAL);
  EXPECT_EQ(value("-Inf"), -HUGE_VAL);
  EXPECT_EQ(value("12 1795501275000"), 12) << "a timestamp follows";
  EXPECT_EQ(value("5 # {trace_id=\"a}b\"} 0.5"), 5) << "an exemplar follows";
}

TEST(MetricsText, SkipsMalformedLines) {
  EXPECT_TRUE(scan("vllm:prompt_tokens").empty());
  EXPECT_TRUE(scan("vllm:prompt_tokens abc\nvllm:prompt_tokens 7x\n").empty());
  EXPECT_TRUE(scan("vllm:prompt_tokens{engine=\"0\" 7\n").empty());
  EXPECT_TRUE(scan("vllm:prompt_tokens{engine=\"0\\").empty());
  EXPECT_TRUE(scan("vllm:prompt_tokens 1e999\n").empty());
  EXPECT_EQ(scan("vllm:prompt_tokens{\nvllm:prompt_tokens 7\n").size(), 1u);
  EXPECT_TRUE(scan("").empty());
}

TEST(MetricsText, ReadsLabelsWithQuotesBracesAndTrailingComma) {
  const auto samples =
      scan("vllm:num_requests_running{model_name=\"a}b,\\\"c=\",engine = \"1\" ,} 4 \n");
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(samples[0].label("model_name"), "a}b,\\\"c=");
  EXPECT_EQ(samples[0].label("engine"), "1");
  EXPECT_FALSE(samples[0].label("name"));
  EXPECT_EQ(samples[0].value, 4);
}

TEST(MetricsText, FindsLastLineWithoutNewline) {
  EXPECT_EQ(scan("\n\nvllm:prompt_tokens 1\n\nvllm:prompt_tokens 2").size(), 2u);
}

}  // namespace
}  // namespace infermesh::engines
