// What the router answers itself: the models it serves, from the view, in the forms of OpenAI and
// Ollama; what it refuses to do; and that it has no such route.
#pragma once

#include <string_view>

#include "data/exchange/request.h"
#include "data/server/route_table.h"

namespace infermesh::data {

// Both give the name of the error they answered with, empty when it is none.
// `id`: the percent-encoded model id of a kModelGet route.
std::string_view reply_itself(Shard& shard, Reply& reply, const Route& route, std::string_view id,
                              const RequestStart& start);
// No route, or not with this method.
std::string_view reply_unrouted(Shard& shard, Reply& reply, const http::RequestHead& head,
                                const RouteMatch& match, const RequestStart& start);

}  // namespace infermesh::data
