// Server: the connections of one shard: accepts them, serves them, and ends them in a drain. On the
// shard's loop; must outlive its connections, which drain() ends.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "data/server/connection.h"
#include "data/shard/shard.h"
#include "port/loop.h"

namespace infermesh::data {

class Server {
 public:
  // `open_of_all`: counts the connections of all servers that share connections_max.
  Server(Shard& shard, std::atomic<std::size_t>& open_of_all);

  port::Task<void> serve(std::unique_ptr<port::Listener> listener);  // until the drain
  // Takes no more connections, ends idle ones, lets requests finish until `deadline`, then stops
  // them. `done` is called once, when the last connection has ended.
  void drain(Instant deadline, std::function<void()> done);
  std::size_t connections() const { return connections_.size(); }

 private:
  port::Task<void> serve_one(port::StreamPtr stream);
  void check_drained();

  Shard& shard_;
  std::atomic<std::size_t>& open_of_all_;
  LiveConnections connections_;
  std::unique_ptr<port::Listener> listener_;
  std::function<void()> drained_;
  port::Timer drain_end_;
};

}  // namespace infermesh::data
