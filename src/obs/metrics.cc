#include "obs/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/assert.h"

namespace infermesh::obs {
namespace {

constexpr std::string_view kOther = "other";

std::size_t row_of(const MetricInfo& info) {
  return static_cast<std::size_t>(&info - metric_table().data());
}

std::size_t cells_needed(const MetricInfo& info) {
  return info.kind == MetricKind::kHistogram ? info.buckets.size() + 1 : 1;
}

const MetricInfo& info_of(const Sample& sample) {
  return std::visit([](auto id) -> const MetricInfo& { return metric_info(id); }, sample.id);
}

// What one label set adds up to over all writers.
struct Sum {
  std::vector<std::uint64_t> counts;
  double value = 0;

  void add(const SeriesCells& cells) {
    counts.resize(cells.counts.size());
    for (std::size_t i = 0; i < counts.size(); ++i) {
      counts[i] += cells.counts[i].load(std::memory_order_relaxed);
    }
    value += cells.value.load(std::memory_order_relaxed);
  }
};

using Sums = std::map<std::vector<std::string>, Sum>;

void append_escaped(std::string& out, std::string_view value, bool quotes_too) {
  for (char c : value) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes_too) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

void append_labels(std::string& out, const MetricInfo& info, const std::vector<std::string>& values,
                   std::string_view le) {
  if (values.empty() && le.empty()) return;
  char separator = '{';
  for (std::size_t i = 0; i < values.size(); ++i) {
    out += separator;
    out += info.labels[i];
    out += "=\"";
    append_escaped(out, values[i], true);
    out += '"';
    separator = ',';
  }
  if (!le.empty()) fmt::format_to(std::back_inserter(out), "{}le=\"{}\"", separator, le);
  out += '}';
}

void append_line(std::string& out, const MetricInfo& info, std::string_view suffix,
                 const std::vector<std::string>& labels, double value) {
  out += info.name;
  out += suffix;
  append_labels(out, info, labels, {});
  fmt::format_to(std::back_inserter(out), " {}\n", value);
}

void append_count(std::string& out, const MetricInfo& info, std::string_view suffix,
                  const std::vector<std::string>& labels, std::string_view le,
                  std::uint64_t count) {
  out += info.name;
  out += suffix;
  append_labels(out, info, labels, le);
  fmt::format_to(std::back_inserter(out), " {}\n", count);
}

void append_histogram(std::string& out, const MetricInfo& info,
                      const std::vector<std::string>& labels, const Sum& sum) {
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < sum.counts.size(); ++i) {
    below += sum.counts[i];
    const bool last = i == info.buckets.size();
    append_count(out, info, "_bucket", labels, last ? "+Inf" : fmt::format("{}", info.buckets[i]),
                 below);
  }
  append_line(out, info, "_sum", labels, sum.value);
  append_count(out, info, "_count", labels, {}, below);
}

std::string_view type_name(MetricKind kind) {
  switch (kind) {
    case MetricKind::kCounter:
      return "counter";
    case MetricKind::kGauge:
      return "gauge";
    case MetricKind::kHistogram:
      return "histogram";
  }
  return "untyped";
}

}  // namespace

void Histogram::observe(double value) {
  const auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  auto& cell = cells_->counts[static_cast<std::size_t>(bucket)];
  cell.store(cell.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  auto& sum = cells_->value;
  sum.store(sum.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
}

Counter MetricSet::counter(CounterId id, Labels labels) {
  Counter handle;
  handle.cells_ = find(metric_info(id), labels);
  return handle;
}

Gauge MetricSet::gauge(GaugeId id, Labels labels) {
  Gauge handle;
  handle.cells_ = find(metric_info(id), labels);
  return handle;
}

Histogram MetricSet::histogram(HistogramId id, Labels labels) {
  Histogram handle;
  handle.cells_ = find(metric_info(id), labels);
  handle.bounds_ = metric_info(id).buckets;
  return handle;
}

SeriesCells* MetricSet::find(const MetricInfo& info, Labels labels) {
  IM_ASSERT(labels.size() == info.labels.size());
  const std::lock_guard lock(owner_.mutex_);
  const std::size_t series = owner_.series_index(info, labels);
  auto& cells = cells_[row_of(info)];
  if (cells.size() <= series) cells.resize(series + 1);
  if (!cells[series]) cells[series] = std::make_unique<SeriesCells>(cells_needed(info));
  return cells[series].get();
}

Metrics::Metrics(std::size_t writers, std::size_t series_max)
    : series_max_(series_max), series_(kMetrics) {
  for (std::size_t i = 0; i < writers; ++i) {
    sets_.push_back(std::unique_ptr<MetricSet>(new MetricSet(*this)));
  }
}

std::size_t Metrics::series_index(const MetricInfo& info, Labels labels) {
  auto& known = series_[row_of(info)];
  Key key(labels.begin(), labels.end());
  if (const auto found = known.find(key); found != known.end()) return found->second;
  if (known.size() >= series_max_) {
    ++dropped_[std::string(info.name)];
    key.assign(labels.size(), std::string(kOther));
  }
  return known.emplace(std::move(key), known.size()).first->second;
}

std::string Metrics::expose(std::span<const Sample> live) const {
  std::string out;
  const std::lock_guard lock(mutex_);
  for (std::size_t metric = 0; metric < kMetrics; ++metric) expose_metric(metric, live, out);
  return out;
}

void Metrics::expose_metric(std::size_t metric, std::span<const Sample> live,
                            std::string& out) const {
  const MetricInfo& info = metric_table()[metric];
  Sums sums;
  if (info.labels.empty()) sums[{}].counts.resize(cells_needed(info));
  for (const auto& [labels, series] : series_[metric]) {
    for (const auto& set : sets_) {
      const auto& cells = set->cells_[metric];
      if (series < cells.size() && cells[series]) sums[labels].add(*cells[series]);
    }
  }
  for (const Sample& sample : live) {
    if (&info_of(sample) != &info) continue;
    IM_ASSERT(sample.labels.size() == info.labels.size());
    Sum& sum = sums[sample.labels];
    sum.value += sample.value;
    sum.counts.resize(cells_needed(info));
    sum.counts[0] += static_cast<std::uint64_t>(sample.value);
  }
  if (&info == &metric_info(CounterId::kSeriesDropped)) {
    for (const auto& [name, count] : dropped_) sums[{name}].counts = {count};
  }
  if (sums.empty()) return;
  fmt::format_to(std::back_inserter(out), "# HELP {} ", info.name);
  append_escaped(out, info.help, false);
  fmt::format_to(std::back_inserter(out), "\n# TYPE {} {}\n", info.name, type_name(info.kind));
  for (const auto& [labels, sum] : sums) {
    if (info.kind == MetricKind::kHistogram) {
      append_histogram(out, info, labels, sum);
    } else if (info.kind == MetricKind::kCounter) {
      append_count(out, info, {}, labels, {}, sum.counts[0]);
    } else {
      append_line(out, info, {}, labels, sum.value);
    }
  }
}

}  // namespace infermesh::obs
