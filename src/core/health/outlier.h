// Outliers: endpoints of a pool whose success rate lies far below that of the rest. Pure
// arithmetic; the Ejector keeps the counts. After Envoy's success-rate detection: below mean - 1.9
// standard deviations, among at least `peers_min` endpoints with enough requests, and below an
// absolute rate so that 99.8 % beside 100 % is no reason.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace infermesh::health {

struct OutlierSettings {
  std::uint32_t peers_min = 3;
  std::uint32_t requests_min = 20;  // of an endpoint in the window
  double deviations = 1.9;
  double rate_max = 0.9;  // a higher success rate is never an outlier
};

struct SuccessCount {
  std::uint32_t requests = 0;
  std::uint32_t failures = 0;
};

// Indices of the outliers, ascending.
std::vector<std::size_t> outliers(std::span<const SuccessCount> counts,
                                  const OutlierSettings& settings);

}  // namespace infermesh::health
