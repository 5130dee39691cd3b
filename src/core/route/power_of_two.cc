// power_of_two: two endpoints by chance, the less loaded of them (Mitzenmacher 2001). The others
// keep a score that no count of requests reaches, so an explanation shows that they were not drawn.
#include <utility>

#include "core/route/least_request.h"
#include "core/route/policy.h"

namespace infermesh::route {
namespace {

constexpr double kNotDrawn = 1e9;

void score(const ScoreInput& input) {
  const std::size_t count = input.candidates.size();
  for (Candidate* candidate : input.candidates) candidate->score = kNotDrawn;
  const std::size_t first = input.rng.below(count);
  input.candidates[first]->score = requests_per_weight(*input.candidates[first]);
  if (count == 1) return;
  std::size_t second = input.rng.below(count - 1);
  if (second >= first) ++second;
  input.candidates[second]->score = requests_per_weight(*input.candidates[second]);
}

Reason reason(const ScoreInput&, const Candidate&) {
  return Reason::kLeastLoaded;
}

}  // namespace

const Policy kPowerOfTwo{score, reason};

}  // namespace infermesh::route
