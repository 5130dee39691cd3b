// decide: filter -> score -> pick, from one snapshot. Pure; called on a shard's loop for each
// attempt of each request.
//
// Cost: linear in the model's endpoints. No allocation once RouteState has seen a model of that
// size and a Decision is used again (its notes keep their memory). Ties break by endpoint id. When
// nothing can take the request `endpoint` is empty; then `wait` says that all are merely full, and
// `refusal` what to answer else.
#pragma once

#include <span>

#include "base/rng.h"
#include "core/model/decision.h"
#include "core/model/load_table.h"
#include "core/model/mesh_view.h"
#include "core/model/request_facts.h"
#include "core/prefix/prefix_index.h"
#include "core/route/route_state.h"

namespace infermesh::route {

struct DecideInput {
  const MeshView& view;
  const LoadTable& load;
  const prefix::PrefixIndex* prefix;  // null: nothing is known of caches
  const Model& model;                 // of this view
  const RequestFacts& facts;
  std::span<const EndpointId> tried;  // where this request has already failed
};

// Overwrites `decision`.
void decide(const DecideInput& input, RouteState& state, Rng& rng, Instant now, Decision& decision);
Decision decide(const DecideInput& input, RouteState& state, Rng& rng, Instant now);

// The policy in force for a model: its own, else its pool's.
const RoutingPolicyObject& policy_for(const MeshView& view, const Model& model);

}  // namespace infermesh::route
