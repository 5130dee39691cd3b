// One client connection that speaks HTTP/2: each stream carries a request, served as on HTTP/1 by
// the same exchange, all of them at once. On the accepting shard.
//
// Limits: streams open at once (http2_streams_max), floods (wire/http2/flood_guard.h), a head that
// stays half here (client_head_timeout), a connection without streams (client_idle_timeout), a
// client that does not read (client_stall_timeout, each stream and the connection). A drain says
// GOAWAY, takes what was on its way, and ends with the last stream.
#pragma once

#include "data/server/connection.h"

namespace infermesh::data {

struct Http2Parts {
  Shard& shard;
  ClientSide& transport;  // with what has been read, from the preface on
  Waiter& waiter;
  LiveConnection& entry;
};

// Returns when no stream is served any more and the last frames have been handed to the socket.
port::Task<void> serve_http2(Http2Parts parts);

}  // namespace infermesh::data
