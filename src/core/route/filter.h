// Filter: which endpoints of a model can take this request, and why the others cannot.
#pragma once

#include <span>

#include "core/model/mesh_view.h"
#include "core/model/request_facts.h"
#include "core/route/candidate.h"
#include "core/route/route_state.h"

namespace infermesh::route {

// Why nobody is left, or that a weaker choice was taken.
enum class Field : std::uint8_t {
  kReady,    // ready endpoints
  kSuspect,  // no ready one could; suspect ones can
  kTried,    // nobody else could: where it failed before is tried once more
  kEjected,  // nobody else could: the ejected ones are tried all the same
  kFull,     // somebody could, but is full: wait
  kApi,      // no engine of the model serves what is asked, in whatever state
  kNobody,
};

struct FilterInput {
  const MeshView& view;
  const LoadTable& load;
  const Model& model;
  const RequestFacts& facts;
  std::span<const EndpointId> tried;
  Instant now;
};

// Fills state.candidates (all of the model's endpoints, ascending, with a rejection each) and
// state.eligible.
Field filter(const FilterInput& input, std::uint64_t model_key, RouteState& state);

}  // namespace infermesh::route
