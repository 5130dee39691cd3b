// The first step of build_view: the engines of the objects and those found, as endpoints with ids.
#pragma once

#include <string>
#include <vector>

#include "core/model/topology.h"

namespace infermesh {

struct CollectedEngine {
  Endpoint endpoint;
  std::string pool;           // as its object names it, may be empty
  bool limit_is_own = false;  // its object gives in_flight_max
};

// Sorted by name. Discovered engines whose address or name an object has are that object's.
Result<std::vector<CollectedEngine>> collect_engines(const TopologyInput& input, EndpointIds& ids,
                                                     std::vector<std::string>& notes);

}  // namespace infermesh
