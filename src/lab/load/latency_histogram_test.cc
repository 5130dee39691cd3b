#include "lab/load/latency_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/rng.h"

namespace infermesh::lab {
namespace {

TEST(LatencyHistogram, IsZeroWhenEmpty) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.percentile(0.99), Duration(0));
  EXPECT_EQ(histogram.mean(), Duration(0));
}

TEST(LatencyHistogram, OneValueIsEveryPercentile) {
  LatencyHistogram histogram;
  histogram.record(1234567us);
  for (const double share : {0.0, 0.5, 1.0})
    EXPECT_EQ(histogram.percentile(share), Duration(1234567us)) << share;
  EXPECT_EQ(histogram.max(), Duration(1234567us));
  EXPECT_EQ(histogram.mean(), Duration(1234567us));
}

TEST(LatencyHistogram, SmallValuesAreExact) {
  LatencyHistogram histogram;
  for (int i = 1; i <= 60; ++i) histogram.record(Duration(1us) * i);
  EXPECT_EQ(histogram.percentile(0.5), Duration(30us));
  EXPECT_EQ(histogram.percentile(0.9), Duration(54us));
}

TEST(LatencyHistogram, StaysWithinItsErrorOfTheTruePercentiles) {
  constexpr std::uint64_t kSeed = 11;
  SCOPED_TRACE(::testing::Message() << "seed " << kSeed);
  Rng rng(kSeed);
  LatencyHistogram histogram;
  std::vector<Duration> values;
  for (int i = 0; i < 20'000; ++i) {
    const auto value = from_seconds(std::exp(rng.unit() * 16 - 8));  // 0.3 ms to 50 min
    values.push_back(value);
    histogram.record(value);
  }
  std::sort(values.begin(), values.end());
  for (const double share : {0.01, 0.5, 0.9, 0.99, 0.999}) {
    const auto rank = static_cast<std::size_t>(std::ceil(share * 20'000)) - 1;
    const double exact = to_seconds(values[rank]);
    EXPECT_NEAR(to_seconds(histogram.percentile(share)) / exact, 1.0, 0.016) << share;
  }
}

TEST(LatencyHistogram, WhatIsOutOfRangeStillCounts) {
  LatencyHistogram histogram;
  histogram.record(Duration(-5s));
  histogram.record(Duration(24h * 365));
  EXPECT_EQ(histogram.count(), 2u);
  EXPECT_EQ(histogram.percentile(0.5), Duration(0));
  EXPECT_GT(histogram.percentile(1.0), Duration(10h));
}

TEST(LatencyHistogram, MergingIsAsIfRecordedTogether) {
  LatencyHistogram a, b, both;
  for (int i = 1; i <= 100; ++i) {
    (i % 3 == 0 ? a : b).record(Duration(1ms) * i);
    both.record(Duration(1ms) * i);
  }
  a.merge(b);
  EXPECT_EQ(a.count(), both.count());
  EXPECT_EQ(a.percentile(0.9), both.percentile(0.9));
  EXPECT_EQ(a.max(), both.max());
  EXPECT_EQ(a.mean(), both.mean());
}

}  // namespace
}  // namespace infermesh::lab
