// What the router answers itself of KServe v2: the mesh as one server. Health and the index of
// models come from the MeshView; calls that act on one server alone are refused by name.
#pragma once

#include <string_view>

#include "data/exchange/request.h"
#include "data/server/route_table.h"

namespace infermesh::data {

constexpr std::size_t kIndexBodyMax = 64 << 10;  // of a request for the index

// Answers; the name of the error when it is one. `body` is the request's.
std::string_view reply_kserve(Shard& shard, Reply& reply, const RouteMatch& match,
                              std::string_view body, const RequestStart& start);

}  // namespace infermesh::data
