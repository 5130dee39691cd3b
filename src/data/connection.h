// One client connection: reads request heads, hands each request to its route, keeps the connection
// alive between them. Requests on a connection are served one after the other, so pipelined ones
// wait their turn. On the accepting shard.
#pragma once

#include "data/shard.h"
#include "port/stream.h"

namespace infermesh::data {

// Returns when the connection is closed.
port::Task<void> serve_connection(Shard& shard, port::StreamPtr stream);

}  // namespace infermesh::data
