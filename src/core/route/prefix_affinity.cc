// prefix_affinity: the share of the prompt that an endpoint holds, against its load. A fully cached
// prompt is worth `prefix_weight` units of load; one unit is (mean load + kSlack) requests above
// the mean, so a hot prefix spills to another endpoint, which holds it from then on, before its
// first holder drowns.
#include "core/route/least_request.h"
#include "core/route/policy.h"

namespace infermesh::route {
namespace {

constexpr double kSlack = 4;

double cached_share(const Candidate& candidate) {
  const auto total = candidate.cached + candidate.uncached;
  if (total.value <= 0) return 0;
  return static_cast<double>(candidate.cached.value) / static_cast<double>(total.value);
}

void score(const ScoreInput& input) {
  double mean = 0;
  for (const Candidate* candidate : input.candidates) mean += requests_per_weight(*candidate);
  mean /= static_cast<double>(input.candidates.size());
  for (Candidate* candidate : input.candidates) {
    const double load = (requests_per_weight(*candidate) - mean) / (mean + kSlack);
    candidate->score = load - input.policy.prefix_weight * cached_share(*candidate);
  }
}

Reason reason(const ScoreInput&, const Candidate& best) {
  return best.cached.value > 0 ? Reason::kPrefixCached : Reason::kLeastLoaded;
}

}  // namespace

const Policy kPrefixAffinity{score, reason};

}  // namespace infermesh::route
