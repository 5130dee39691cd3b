#include "core/route/line_fit.h"

#include <algorithm>

namespace infermesh::route {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

void decay_and_add(std::atomic<double>& sum, double memory, double value) {
  sum.store(sum.load(kRelaxed) * (1 - 1 / memory) + value, kRelaxed);
}

}  // namespace

Line fit_line(const LineSums& sums, double level_share) {
  const double n = sums.weight.load(kRelaxed);
  if (n <= 0) return {};
  const double x = sums.x.load(kRelaxed) / n, y = sums.y.load(kRelaxed) / n;
  if (x <= 0) return {y, 0};
  const double variance = sums.xx.load(kRelaxed) / n - x * x;
  const double covariance = sums.xy.load(kRelaxed) / n - x * y;
  const double undetermined = y * (1 - level_share) / x;
  // Few or similar observations lean towards the given share.
  const double trust = n / (n + 4) * variance / (variance + 0.02 * x * x);
  const double fitted = variance > 0 ? covariance / variance : undetermined;
  const double slope = std::clamp(trust * fitted + (1 - trust) * undetermined, 0.0, y / x);
  return {y - slope * x, slope};
}

double pace_factor(const LineSums& sums) {
  const double expected = sums.expected.load(kRelaxed);
  if (expected <= 0) return 1;
  const double factor = std::clamp(sums.observed.load(kRelaxed) / expected, 0.2, 5.0);
  // A ramp from the calm range to twice its width, so that no observation makes the factor jump.
  if (factor > 1) return std::clamp(1 + 2 * (factor - 1 - kCalm), 1.0, factor);
  return 1 / std::clamp(1 + 2 * (1 / factor - 1 - kCalm), 1.0, 1 / factor);
}

void observe(LineSums& sums, double x, double y, double level_share) {
  const double expected = fit_line(sums, level_share).at(x);
  if (expected > 0) {
    y = std::min(y, kOutlier * expected);
    decay_and_add(sums.observed, kFactorMemory, y);
    decay_and_add(sums.expected, kFactorMemory, expected);
  }
  decay_and_add(sums.weight, kLineMemory, 1);
  decay_and_add(sums.x, kLineMemory, x);
  decay_and_add(sums.y, kLineMemory, y);
  decay_and_add(sums.xx, kLineMemory, x * x);
  decay_and_add(sums.xy, kLineMemory, x * y);
}

bool observe_batch(LineSums& sums, double x, double y, double level_share) {
  const double weight = sums.weight.load(kRelaxed);
  if (weight <= 0 && y <= 0) return false;  // nothing to compare no time with
  const double expected = fit_line(sums, level_share).at(x);
  const std::int32_t merged = sums.pending_merged.load(kRelaxed);
  if (weight > 0 && y < kSameBatch * expected && merged < kMergedMax) {
    sums.pending_x.store(sums.pending_x.load(kRelaxed) + x, kRelaxed);
    sums.pending_merged.store(merged + 1, kRelaxed);
    return false;
  }
  const double batch_x = sums.pending_x.load(kRelaxed), batch_y = sums.pending_y.load(kRelaxed);
  if (batch_y > 0) observe(sums, batch_x, batch_y, level_share);
  const bool at_once = weight < kObservedAtOnce;
  if (at_once) observe(sums, x, y, level_share);
  sums.pending_x.store(at_once ? 0 : x, kRelaxed);
  sums.pending_y.store(at_once ? 0 : y, kRelaxed);
  sums.pending_merged.store(0, kRelaxed);
  return batch_y > 0 || at_once;
}

}  // namespace infermesh::route
