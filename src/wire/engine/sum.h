// Adding up the samples of one metric over the ranks of an engine: counts are sums over
// data-parallel ranks, fractions maxima. Absent stays absent; NaN, infinite and negative samples,
// and such as no count can be, are left out.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include "base/ids.h"
#include "wire/engine/json_read.h"

namespace infermesh::engines {

inline bool is_measure(double value) {
  return value >= 0 && value < 0x1p53;  // false for NaN; beyond it doubles do not count by one
}

class Sum {
 public:
  void add(double value) {
    if (is_measure(value)) value_ = value_.value_or(0) + value;
  }
  void take_max(double value) {
    if (is_measure(value)) value_ = std::max(value_.value_or(0), value);
  }
  std::optional<double> value() const { return value_; }
  std::optional<std::uint64_t> count() const { return value_ ? to_count(*value_) : std::nullopt; }
  std::optional<std::uint32_t> count32() const {
    return value_ ? to_count32(*value_) : std::nullopt;
  }
  std::optional<double> fraction() const {
    if (!value_) return std::nullopt;
    return std::min(*value_, 1.0);
  }
  std::optional<Tokens> tokens() const {
    const auto number = count();
    if (!number) return std::nullopt;
    return Tokens(static_cast<std::int64_t>(*number));
  }

 private:
  std::optional<double> value_;
};

// The first that is known: a metric's present name before its older ones.
template <typename T>
std::optional<T> first_known(std::optional<T> present, std::optional<T> older) {
  return present ? present : older;
}

// Sum over data-parallel ranks where several tensor-parallel ranks may repeat the same figure: the
// largest of each rank counts. Ranks from 255 up share one place.
class RankSum {
 public:
  void add(std::optional<std::string_view> rank, double value) {
    if (!is_measure(value)) return;
    std::size_t index = 0;
    if (rank) std::from_chars(rank->data(), rank->data() + rank->size(), index);
    double& place = ranks_[std::min(index, ranks_.size() - 1)];
    place = std::max(place, value);
    known_ = true;
  }
  Sum total() const {
    Sum sum;
    if (!known_) return sum;
    for (const double value : ranks_) sum.add(value);
    return sum;
  }

 private:
  std::array<double, 256> ranks_{};
  bool known_ = false;
};

}  // namespace infermesh::engines
