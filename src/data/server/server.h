// Server: the connections of one shard: accepts them, serves them, and ends them in a drain. On the
// shard's loop; must outlive its connections, which drain() ends.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "data/server/connection.h"
#include "data/shard/shard.h"
#include "port/loop.h"

namespace infermesh::data {

class Server {
 public:
  // `open_of_all`: counts the connections of all servers that share connections_max.
  Server(Shard& shard, std::atomic<std::size_t>& open_of_all);

  // Until the drain, and until what the listener had begun to take by then has come. Once for each
  // listener.
  port::Task<void> serve(std::unique_ptr<port::Listener> listener);
  // Takes no more connections, lets requests finish until `deadline`, then stops them. A connection
  // without a request ends when it has been so for `idle`; the answer to a request that comes on it
  // before says that it ends. `done` is called once, when the last connection has ended.
  void drain(Instant deadline, std::function<void()> done, Duration idle = {});
  std::size_t connections() const { return connections_.size(); }

 private:
  port::Task<void> serve_one(port::StreamPtr stream);
  void check_drained();

  Shard& shard_;
  std::atomic<std::size_t>& open_of_all_;
  LiveConnections connections_;
  std::vector<std::unique_ptr<port::Listener>> listeners_;
  std::size_t accepting_ = 0;  // serve()s under way
  std::size_t serving_ = 0;    // connections, and those about to be
  std::function<void()> drained_;
  port::Timer drain_end_;
};

}  // namespace infermesh::data
