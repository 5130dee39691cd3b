// LatencyHistogram: durations in log-linear buckets (64 to a power of two, so a value is off by
// less than 1.6 %), after the idea of HdrHistogram. From 1 us to about 19 hours; what is longer
// counts as that. Fixed memory, O(1) to record.
#pragma once

#include <array>
#include <cstdint>

#include "base/time.h"

namespace infermesh::lab {

class LatencyHistogram {
 public:
  void record(Duration value);
  void merge(const LatencyHistogram& other);

  std::uint64_t count() const { return count_; }
  Duration max() const { return max_; }
  Duration mean() const;
  // The value that this share of all values does not exceed: 0.5, 0.99. Zero when empty.
  Duration percentile(double share) const;

 private:
  static constexpr int kSubBits = 6;
  static constexpr int kExponents = 31;
  static constexpr std::size_t kBuckets = (kExponents + 1) << kSubBits;
  static std::size_t bucket_of(std::uint64_t microseconds);
  static std::uint64_t upper_bound(std::size_t bucket);

  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t count_ = 0;
  Duration sum_{0};
  Duration max_{0};
};

}  // namespace infermesh::lab
