// random: each endpoint with a probability in proportion to its weight (exponential race: the least
// of n exponential draws with rates w belongs to i with probability w_i / sum w).
#include <algorithm>
#include <cmath>

#include "core/route/policy.h"

namespace infermesh::route {
namespace {

void score(const ScoreInput& input) {
  for (Candidate* candidate : input.candidates) {
    const double weight = std::max<std::uint32_t>(1, candidate->endpoint->weight);
    candidate->score = -std::log(1 - input.rng.unit()) / weight;
  }
}

Reason reason(const ScoreInput&, const Candidate&) {
  return Reason::kPolicy;
}

}  // namespace

const Policy kRandom{score, reason};

}  // namespace infermesh::route
