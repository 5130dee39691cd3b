// Metrics: what the process counts, exposed as Prometheus text 0.0.4. The metrics themselves are
// generated from api/schema/metrics.yaml (metrics.gen.h).
//
// One MetricSet for each writer (a shard, the signal loop, ...). A set is written by one thread
// only, so an update is a relaxed load and store with no lock prefix; exposition sums the sets from
// any thread. Looking up a handle takes a mutex and may allocate: do it once for each label set and
// keep the handle. Handles live as long as the Metrics.
//
// Bounded: a metric keeps `series_max` label sets; further ones are counted under `other` in every
// label, and infermesh_series_dropped_total{metric} counts such look-ups.
#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/time.h"
#include "obs/metrics.gen.h"

namespace infermesh::obs {

// One writer's cells of one label set. Histogram: [0..buckets] counts, +Inf last. Others: one cell.
struct alignas(64) SeriesCells {
  explicit SeriesCells(std::size_t counts_size) : counts(counts_size) {}
  std::vector<std::atomic<std::uint64_t>> counts;
  std::atomic<double> value{0};  // a gauge's value, a histogram's sum
};

class Counter {
 public:
  void add(std::uint64_t amount = 1) {
    auto& cell = cells_->counts[0];
    cell.store(cell.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }

 private:
  friend class MetricSet;
  SeriesCells* cells_ = nullptr;
};

class Gauge {
 public:
  void set(double value) { cells_->value.store(value, std::memory_order_relaxed); }
  void add(double amount) { set(cells_->value.load(std::memory_order_relaxed) + amount); }

 private:
  friend class MetricSet;
  SeriesCells* cells_ = nullptr;
};

class Histogram {
 public:
  void observe(double value);
  void observe(Duration duration) { observe(to_seconds(duration)); }

 private:
  friend class MetricSet;
  SeriesCells* cells_ = nullptr;
  std::span<const double> bounds_;
};

using Labels = std::initializer_list<std::string_view>;

class MetricSet {
 public:
  // The label values in the order of the schema; their number must match.
  Counter counter(CounterId id, Labels labels = {});
  Gauge gauge(GaugeId id, Labels labels = {});
  Histogram histogram(HistogramId id, Labels labels = {});

 private:
  friend class Metrics;
  explicit MetricSet(class Metrics& owner) : owner_(owner), cells_(kMetrics) {}
  SeriesCells* find(const MetricInfo& info, Labels labels);

  class Metrics& owner_;
  std::vector<std::vector<std::unique_ptr<SeriesCells>>>
      cells_;  // by metric, then series; under owner_.mutex_
};

// A value that is read off some state when scraped, not kept by a writer: engines and pools come
// and go with the view.
struct Sample {
  std::variant<CounterId, GaugeId> id;
  std::vector<std::string> labels;
  double value = 0;
};
using GaugeSample = Sample;

class Metrics {
 public:
  explicit Metrics(std::size_t writers, std::size_t series_max = 1000);
  MetricSet& set(std::size_t writer) { return *sets_.at(writer); }

  // All metrics in the order of the schema, series sorted by labels; a metric without series is
  // left out, but one without labels shows 0. `live` is added.
  std::string expose(std::span<const Sample> live = {}) const;

 private:
  friend class MetricSet;
  using Key = std::vector<std::string>;
  std::size_t series_index(const MetricInfo& info, Labels labels);  // under mutex_
  void expose_metric(std::size_t metric, std::span<const Sample> live, std::string& out) const;

  std::size_t series_max_;
  mutable std::mutex mutex_;  // guards the shape (series and cells), never the values
  std::vector<std::map<Key, std::size_t>> series_;  // by metric
  std::map<std::string, std::uint64_t> dropped_;    // by metric's name
  std::vector<std::unique_ptr<MetricSet>> sets_;
};

}  // namespace infermesh::obs
