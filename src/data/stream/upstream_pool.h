// UpstreamPool: idle kept-alive connections to engines, one pool a shard. An idle connection that
// becomes readable was closed by the engine and is dropped at once; the rest are closed after
// `idle_timeout` (engines on uvicorn close after 5 s).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "core/model/mesh_view.h"
#include "data/stream/watched_stream.h"
#include "port/loop.h"

namespace infermesh::data {

struct UpstreamConnection {
  explicit UpstreamConnection(port::StreamPtr connected) : stream(std::move(connected)) {}
  WatchedStream stream;
  EndpointId endpoint;
  std::string authority;
  bool reused = false;  // has carried a request before: a reset before the first byte says little
                        // about the engine
  Instant idle_since{};
};
using UpstreamConnectionPtr = std::unique_ptr<UpstreamConnection>;

class UpstreamPool {
 public:
  struct Limits {
    std::size_t idle_per_endpoint_max = 64;
    Duration idle_timeout = 4s;
  };

  UpstreamPool(port::Loop& loop, Limits limits);

  // The idle connection that was used last, or null.
  UpstreamConnectionPtr take(const Endpoint& endpoint);
  port::Task<Result<UpstreamConnectionPtr>> connect(const Endpoint& endpoint, Instant deadline);
  void give_back(UpstreamConnectionPtr connection);
  std::size_t idle() const;

 private:
  void expire();
  void drop(EndpointId endpoint, const UpstreamConnection* connection);

  port::Loop& loop_;
  Limits limits_;
  std::map<EndpointId, std::vector<UpstreamConnectionPtr>> idle_;
  port::Timer expiry_;
};

}  // namespace infermesh::data
