// GET /v1/models and /v1/models/{id}: answered by the router itself, from the view.
#pragma once

#include <string_view>

#include "data/connection_parts.h"

namespace infermesh::data {

// `id`: the percent-encoded model id of a kModelGet route.
void reply_models(Shard& shard, Reply& reply, const Route& route, std::string_view id,
                  const RequestStart& start);

}  // namespace infermesh::data
