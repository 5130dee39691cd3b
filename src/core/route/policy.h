// Policy: gives every candidate a score. One file pair each; this table is the only place that
// lists them.
//
// `score` writes Candidate::score of all candidates (lower is better; the pipeline breaks ties by
// endpoint id) and returns why the best one of them is best, given afterwards by `reason`. Pure:
// chance comes from `rng`.
#pragma once

#include <span>

#include "base/rng.h"
#include "core/model/decision.h"
#include "core/model/objects.h"
#include "core/model/request_facts.h"
#include "core/route/candidate.h"

namespace infermesh::route {

struct ModelMemory;

struct ScoreInput {
  std::span<Candidate* const> candidates;  // at least one, ascending ids
  const RequestFacts& facts;
  const RoutingPolicyObject& policy;
  const ModelMemory* memory = nullptr;  // nullptr: nothing remembered of this model
  double expected_output_tokens = 0;
  Rng& rng;
};

struct Policy {
  void (*score)(const ScoreInput& input);
  Reason (*reason)(const ScoreInput& input, const Candidate& best);
};

const Policy& policy_of(PolicyKind kind);

extern const Policy kRoundRobin;
extern const Policy kRandom;
extern const Policy kLeastRequest;
extern const Policy kPowerOfTwo;
extern const Policy kSession;
extern const Policy kPrefixAffinity;
extern const Policy kExpectedLatency;

}  // namespace infermesh::route
