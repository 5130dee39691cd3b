#include "lab/load/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace infermesh::lab {

// The first 64 values have a bucket each; after that each power of two has 64.
std::size_t LatencyHistogram::bucket_of(std::uint64_t microseconds) {
  const int bits = std::bit_width(microseconds);
  if (bits <= kSubBits) return static_cast<std::size_t>(microseconds);
  const int shift = bits - kSubBits - 1;
  const std::size_t bucket = (static_cast<std::size_t>(shift + 1) << kSubBits) +
                             static_cast<std::size_t>((microseconds >> shift) - (1ULL << kSubBits));
  return std::min(bucket, kBuckets - 1);
}

std::uint64_t LatencyHistogram::upper_bound(std::size_t bucket) {
  if (bucket < (1U << kSubBits)) return bucket;
  const auto shift = static_cast<int>(bucket >> kSubBits) - 1;
  const std::uint64_t base = (1ULL << kSubBits) + (bucket & ((1U << kSubBits) - 1));
  return ((base + 1) << shift) - 1;
}

void LatencyHistogram::record(Duration value) {
  value = std::max(value, Duration(0));
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(value).count();
  ++counts_[bucket_of(static_cast<std::uint64_t>(microseconds))];
  ++count_;
  sum_ += value;
  max_ = std::max(max_, value);
}

void LatencyHistogram::merge(const LatencyHistogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

Duration LatencyHistogram::mean() const {
  return count_ == 0 ? Duration(0) : sum_ / static_cast<std::int64_t>(count_);
}

Duration LatencyHistogram::percentile(double share) const {
  if (count_ == 0) return Duration(0);
  const double wanted = std::ceil(share * static_cast<double>(count_));
  const auto rank = std::max<std::uint64_t>(static_cast<std::uint64_t>(wanted), 1);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += counts_[i];
    if (seen >= rank) return std::min<Duration>(std::chrono::microseconds(upper_bound(i)), max_);
  }
  return max_;
}

}  // namespace infermesh::lab
