// session: requests with the same key go to the same endpoint while it is there and not overloaded.
//
// Consistent hashing without a ring: each (key, endpoint name) pair has a fixed rank (rendezvous
// hashing, Thaler and Ravishankar 1998), the same on every shard and router; when an endpoint goes,
// only its keys move. The bound on load is Mirrokni, Thorup and Zadimoghaddam 2018: an endpoint
// whose load would pass load_bound x the mean is passed over, so its keys spill to the next in
// their own order. A request without a key takes the least loaded endpoint.
#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "core/route/least_request.h"
#include "core/route/policy.h"

namespace infermesh::route {
namespace {

constexpr double kOverBound = 1e6;  // more than any rank
// So many requests at once are no overload, however idle the others are: one client's few parallel
// requests, and the last answer that is not yet accounted for, do not move its session.
constexpr double kNeverOver = 4;

// Weighted rendezvous rank: an endpoint of twice the weight wins twice as many keys.
double rank(std::uint64_t key, const Endpoint& endpoint) {
  std::uint64_t mixed = (key ^ name_hash(endpoint.name)) * 0xd6e8feb86659fd93ULL;
  mixed = (mixed ^ (mixed >> 32)) * 0xd6e8feb86659fd93ULL;
  mixed ^= mixed >> 32;
  const double unit = (static_cast<double>(mixed >> 11) + 0.5) * 0x1.0p-53;
  return -std::log(unit) / std::max<std::uint32_t>(1, endpoint.weight);
}

void score(const ScoreInput& input) {
  double total = 1;
  for (const Candidate* candidate : input.candidates) total += requests_per_weight(*candidate);
  const double mean = total / static_cast<double>(input.candidates.size());
  const double bound =
      std::max(kNeverOver, std::ceil(std::max(1.0, input.policy.load_bound) * mean));
  for (Candidate* candidate : input.candidates) {
    const double load = requests_per_weight(*candidate);
    if (input.facts.session_key == 0) {
      candidate->score = load;
      continue;
    }
    candidate->score = rank(input.facts.session_key, *candidate->endpoint);
    if (load + 1 > bound) candidate->score += kOverBound;
  }
}

Reason reason(const ScoreInput& input, const Candidate& best) {
  if (input.facts.session_key == 0 || best.score >= kOverBound) return Reason::kLeastLoaded;
  return Reason::kSession;
}

}  // namespace

const Policy kSession{score, reason};

}  // namespace infermesh::route
