// One client connection: reads request heads, hands each request to its route, keeps the connection
// alive between them. Requests on a connection are served one after the other, so pipelined ones
// wait their turn. On the accepting shard.
#pragma once

#include <vector>

#include "data/shard/shard.h"
#include "data/stream/waiter.h"
#include "port/stream.h"

namespace infermesh::data {

class LiveConnection;
using LiveConnections = std::vector<LiveConnection*>;

// One of the open connections of a server, so that a drain can end the idle ones and, in the end,
// all.
class LiveConnection {
 public:
  LiveConnection(LiveConnections& all, Waiter& waiter);
  ~LiveConnection();
  LiveConnection(const LiveConnection&) = delete;
  LiveConnection& operator=(const LiveConnection&) = delete;

  void stop() { waiter_.stop(); }
  void look_up() { waiter_.wake.set(); }  // an idle one sees that the shard drains
  bool idle = true;                       // between requests

 private:
  LiveConnections& all_;
  std::size_t index_;
  Waiter& waiter_;
};

// Returns when the connection is closed. It is one of `all` while it lasts.
port::Task<void> serve_connection(Shard& shard, LiveConnections& all, port::StreamPtr stream);

}  // namespace infermesh::data
