#include "obs/metrics.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>

namespace infermesh::obs {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Metrics, CountersOfAllWritersAddUp) {
  Metrics metrics(2);
  metrics.set(0).counter(CounterId::kRequests, {"qwen", "chat", "200"}).add();
  metrics.set(1).counter(CounterId::kRequests, {"qwen", "chat", "200"}).add(4);
  EXPECT_THAT(metrics.expose(),
              HasSubstr("# TYPE infermesh_requests_total counter\n"
                        "infermesh_requests_total{model=\"qwen\",api=\"chat\",code=\"200\"} 5\n"));
}

TEST(Metrics, AHandleLookedUpAgainIsTheSameSeries) {
  Metrics metrics(1);
  Counter first = metrics.set(0).counter(CounterId::kErrors, {"shed"});
  Counter second = metrics.set(0).counter(CounterId::kErrors, {"shed"});
  first.add();
  second.add();
  EXPECT_THAT(metrics.expose(), HasSubstr("infermesh_errors_total{code=\"shed\"} 2\n"));
}

TEST(Metrics, HistogramsAreCumulativeWithSumAndCount) {
  Metrics metrics(2);
  metrics.set(0).histogram(HistogramId::kItl, {"m"}).observe(0.001);
  metrics.set(0).histogram(HistogramId::kItl, {"m"}).observe(3ms);
  metrics.set(1).histogram(HistogramId::kItl, {"m"}).observe(99.0);
  const std::string text = metrics.expose();
  EXPECT_THAT(text, HasSubstr("infermesh_itl_seconds_bucket{model=\"m\",le=\"0.001\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("infermesh_itl_seconds_bucket{model=\"m\",le=\"0.0025\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("infermesh_itl_seconds_bucket{model=\"m\",le=\"0.005\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("infermesh_itl_seconds_bucket{model=\"m\",le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("infermesh_itl_seconds_sum{model=\"m\"} 99.004\n"));
  EXPECT_THAT(text, HasSubstr("infermesh_itl_seconds_count{model=\"m\"} 3\n"));
}

TEST(Metrics, MetricsWithoutLabelsShowZeroAndOthersNothing) {
  Metrics metrics(1);
  const std::string text = metrics.expose();
  EXPECT_THAT(text, HasSubstr("infermesh_retries_refused_total 0\n"));
  EXPECT_THAT(text, HasSubstr("infermesh_added_seconds_bucket{le=\"+Inf\"} 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("infermesh_requests_total")));
}

TEST(Metrics, GaugesAddUpWithSamplesReadWhenScraped) {
  Metrics metrics(2);
  metrics.set(0).gauge(GaugeId::kConnections).add(3);
  metrics.set(0).gauge(GaugeId::kConnections).add(-1);
  metrics.set(1).gauge(GaugeId::kConnections).set(5);
  const std::vector<Sample> live{{GaugeId::kInFlight, {"e2"}, 7},
                                 {GaugeId::kInFlight, {"e1"}, 1},
                                 {CounterId::kLogLinesDropped, {}, 3}};
  const std::string text = metrics.expose(live);
  EXPECT_THAT(text, HasSubstr("infermesh_connections 7\n"));
  EXPECT_THAT(text, HasSubstr("infermesh_log_lines_dropped_total 3\n"));
  EXPECT_THAT(
      text,
      HasSubstr("infermesh_in_flight{engine=\"e1\"} 1\ninfermesh_in_flight{engine=\"e2\"} 7\n"));
}

TEST(Metrics, LabelValuesAreEscaped) {
  Metrics metrics(1);
  metrics.set(0).counter(CounterId::kErrors, {"a\"b\\c\nd"}).add();
  EXPECT_THAT(metrics.expose(), HasSubstr("{code=\"a\\\"b\\\\c\\nd\"} 1\n"));
}

TEST(Metrics, SeriesOverTheLimitAreCountedUnderOther) {
  Metrics metrics(2, 3);
  for (int i = 0; i < 10; ++i) {
    const std::string name = fmt::format("m{}", i);
    metrics.set(static_cast<std::size_t>(i % 2))
        .counter(CounterId::kRequests, {name, "chat", "200"})
        .add();
  }
  const std::string text = metrics.expose();
  EXPECT_THAT(text, HasSubstr("{model=\"m2\",api=\"chat\",code=\"200\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("m3")));
  EXPECT_THAT(text, HasSubstr("{model=\"other\",api=\"other\",code=\"other\"} 7\n"));
  EXPECT_THAT(text,
              HasSubstr("infermesh_series_dropped_total{metric=\"infermesh_requests_total\"} 7\n"));
}

TEST(Metrics, ReadingWhileShardsWriteLosesNothing) {
  constexpr int kWriters = 3;
  constexpr int kRounds = 2000;
  Metrics metrics(kWriters);
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&metrics, w] {
      MetricSet& set = metrics.set(static_cast<std::size_t>(w));
      Histogram ttft = set.histogram(HistogramId::kTtft, {"m", "chat"});
      for (int i = 0; i < kRounds; ++i) {
        ttft.observe(0.5);
        set.counter(CounterId::kErrors, {fmt::format("e{}", i % 7)}).add();
      }
    });
  }
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(metrics.expose().empty());
  for (std::thread& writer : writers) writer.join();
  EXPECT_THAT(metrics.expose(),
              HasSubstr("infermesh_ttft_seconds_count{model=\"m\",api=\"chat\"} 6000\n"));
}

TEST(Metrics, EveryRowIsFoundByItsId) {
  std::set<std::string_view> names;
  for (const MetricInfo& info : metric_table()) {
    names.insert(info.name);
    const MetricInfo* found = nullptr;
    if (info.kind == MetricKind::kCounter) found = &metric_info(static_cast<CounterId>(info.index));
    if (info.kind == MetricKind::kGauge) found = &metric_info(static_cast<GaugeId>(info.index));
    if (info.kind == MetricKind::kHistogram)
      found = &metric_info(static_cast<HistogramId>(info.index));
    EXPECT_EQ(found, &info) << info.name;
  }
  EXPECT_EQ(names.size(), kMetrics);
  EXPECT_EQ(kMetrics, kCounters + kGauges + kHistograms);
}

TEST(Metrics, TheExpositionIsTheSameEachTimeAndHasOneTypeLineAMetric) {
  Metrics metrics(1);
  metrics.set(0).counter(CounterId::kErrors, {"b"}).add();
  metrics.set(0).counter(CounterId::kErrors, {"a"}).add();
  const std::string text = metrics.expose();
  EXPECT_EQ(text, metrics.expose());
  EXPECT_LT(text.find("code=\"a\""), text.find("code=\"b\""));
  EXPECT_EQ(text.find("# TYPE infermesh_errors_total"),
            text.rfind("# TYPE infermesh_errors_total"));
}

}  // namespace
}  // namespace infermesh::obs
