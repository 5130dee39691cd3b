// Scanner of a Prometheus text page (exposition format 0.0.4, and OpenMetrics 1.0 as far as engines
// write it) for a few wanted metrics. It walks the page line by line, allocates nothing, and skips
// a line it does not want after its name.
//
// A wanted name is written without "_total" and with its colon ("vllm:prompt_tokens"): it matches
// with and without
// "_total", and with "_" for the colon, which some relabelling scrapers write. Names match whole,
// never by prefix. Values: decimal, exponent, NaN, +Inf, -Inf. A line that is not well formed is
// skipped. Borrowed views live as long as the page. Limits: 32 names a table, 63 bytes a name.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/assert.h"

namespace infermesh::engines {

struct WantedMetric {
  std::string_view name;
  std::uint8_t key = 0;  // the caller's own word for it; several names may share one
};

class MetricTable {
 public:
  static constexpr std::size_t kNamesMax = 32;
  static constexpr std::size_t kNameBytesMax = 63;

  constexpr explicit MetricTable(std::span<const WantedMetric> wanted) {
    IM_ASSERT(wanted.size() <= kNamesMax);
    for (const WantedMetric& metric : wanted) {
      const std::size_t length = metric.name.size();
      IM_ASSERT(length > 0 && length <= kNameBytesMax);
      metrics_[count_++] = metric;
      lengths_ |= std::uint64_t{1} << length;
      if (length + kTotal.size() <= kNameBytesMax) {
        lengths_ |= std::uint64_t{1} << (length + kTotal.size());
      }
      first_bytes_[static_cast<unsigned char>(metric.name.front())] = true;
    }
  }

  bool wants_first(char first) const { return first_bytes_[static_cast<unsigned char>(first)]; }
  // The key of `name` as it stands on a page.
  std::optional<std::uint8_t> find(std::string_view name) const;

 private:
  static constexpr std::string_view kTotal = "_total";
  std::array<WantedMetric, kNamesMax> metrics_{};
  std::size_t count_ = 0;
  std::uint64_t lengths_ = 0;  // bit n: some wanted name has n bytes
  std::array<bool, 256> first_bytes_{};
};

struct MetricSample {
  std::uint8_t key = 0;
  std::string_view labels;  // between the braces, as written
  double value = 0;         // may be NaN or infinite

  // A label's value as written (escapes kept); nullopt when the sample lacks it.
  std::optional<std::string_view> label(std::string_view name) const;
};

class MetricScanner {
 public:
  // Both are borrowed.
  MetricScanner(std::string_view page, const MetricTable& table) : rest_(page), table_(table) {}

  // The next wanted sample, in page order; false at the end of the page.
  bool next(MetricSample& sample);

 private:
  bool is_skipped(std::string_view line) const;

  std::string_view rest_;
  std::string_view skipped_;  // the last name that is not wanted
  const MetricTable& table_;
};

}  // namespace infermesh::engines
