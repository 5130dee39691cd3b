#include "core/health/outlier.h"

#include <cmath>

namespace infermesh::health {
namespace {

double rate(const SuccessCount& count) {
  return 1 - static_cast<double>(count.failures) / count.requests;
}

}  // namespace

std::vector<std::size_t> outliers(std::span<const SuccessCount> counts,
                                  const OutlierSettings& settings) {
  std::vector<std::size_t> enough, found;
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i].requests < settings.requests_min) continue;
    enough.push_back(i);
    sum += rate(counts[i]);
    squares += rate(counts[i]) * rate(counts[i]);
  }
  if (enough.size() < settings.peers_min) return found;
  const auto n = static_cast<double>(enough.size());
  const double mean = sum / n;
  const double deviation = std::sqrt(std::max(0.0, squares / n - mean * mean));
  // In a small pool one bad endpoint is itself most of the deviation: with n peers it lies at most
  // (n - 1) / sqrt(n - 1) deviations below the mean, so the factor is capped a little below that.
  const double factor = std::min(settings.deviations, 0.9 * std::sqrt(n - 1));
  const double limit = std::min(settings.rate_max, mean - factor * deviation);
  for (const std::size_t i : enough) {
    if (rate(counts[i]) < limit) found.push_back(i);
  }
  return found;
}

}  // namespace infermesh::health
