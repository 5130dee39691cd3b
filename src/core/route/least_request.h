// The count that least_request, power_of_two, session and prefix_affinity call load.
#pragma once

#include "core/route/candidate.h"

namespace infermesh::route {

// Requests in flight, own and reported beyond them, for an engine of weight 100.
double requests_per_weight(const Candidate& candidate);

}  // namespace infermesh::route
