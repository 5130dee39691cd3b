// round_robin: each endpoint in turn, by id. What is remembered is the last one chosen, not a
// counter, so an endpoint that comes or goes does not make the order jump.
#include "core/route/policy.h"
#include "core/route/route_state.h"

namespace infermesh::route {
namespace {

void score(const ScoreInput& input) {
  const unsigned last = input.memory != nullptr ? input.memory->last_chosen : 0xffff;
  for (Candidate* candidate : input.candidates) {
    candidate->score = static_cast<double>((candidate->id().value - last - 1) & 0xffff);
  }
}

Reason reason(const ScoreInput&, const Candidate&) {
  return Reason::kPolicy;
}

}  // namespace

const Policy kRoundRobin{score, reason};

}  // namespace infermesh::route
