// least_request: fewest requests in flight, own ones and those that the engine reports beyond them,
// per weight.
#include "core/route/least_request.h"

#include <algorithm>

#include "core/route/policy.h"

namespace infermesh::route {

double requests_per_weight(const Candidate& candidate) {
  const Load& load = candidate.load;
  const int requests =
      load.in_flight + std::max(0, load.others_running) + std::max(0, load.others_waiting);
  return requests * 100.0 / std::max<std::uint32_t>(1, candidate.endpoint->weight);
}

namespace {

void score(const ScoreInput& input) {
  for (Candidate* candidate : input.candidates) candidate->score = requests_per_weight(*candidate);
}

Reason reason(const ScoreInput&, const Candidate&) {
  return Reason::kLeastLoaded;
}

}  // namespace

const Policy kLeastRequest{score, reason};

}  // namespace infermesh::route
