#include "core/admit/turns.h"

#include <algorithm>

namespace infermesh::admit {
namespace {

constexpr std::array<std::uint64_t, kPriorities> kStride{8, 2, 1};  // 8 over the weights 1, 4, 8
constexpr std::uint64_t kSavedMax = 8;
constexpr Duration kRetryAfterMin = 100ms, kRetryAfterMax = 30s, kRetryAfterUnknown = 1s;
constexpr double kGapGain = 0.1;

}  // namespace

std::array<Priority, kPriorities> Turns::order() const {
  std::array<Priority, kPriorities> all{Priority::kHigh, Priority::kNormal, Priority::kLow};
  std::stable_sort(all.begin(), all.end(), [&](Priority a, Priority b) {
    return pass_[static_cast<std::size_t>(a)] < pass_[static_cast<std::size_t>(b)];
  });
  return all;
}

void Turns::took(Priority priority) {
  auto& mine = pass_[static_cast<std::size_t>(priority)];
  mine += kStride[static_cast<std::size_t>(priority)];
  for (auto& pass : pass_) pass = std::max(pass + kSavedMax, mine) - kSavedMax;
}

void DrainRate::on_departure(Instant now) {
  if (last_ != Instant{}) {
    const double gap = to_seconds(now - last_);
    gap_seconds_ = gap_seconds_ <= 0 ? gap : gap_seconds_ + kGapGain * (gap - gap_seconds_);
  }
  last_ = now;
}

Duration DrainRate::time_for(std::size_t count, Instant now) const {
  if (gap_seconds_ <= 0) return kRetryAfterUnknown;
  // A queue that has stopped moving is slower than it was.
  const double gap = std::max(gap_seconds_, to_seconds(now - last_));
  const double seconds = std::min(gap * static_cast<double>(count), to_seconds(kRetryAfterMax));
  return std::max(kRetryAfterMin, from_seconds(seconds));
}

}  // namespace infermesh::admit
