// UpstreamPool: idle kept-alive connections to engines, one pool a shard. An idle connection that
// becomes readable was closed by the engine and is dropped at once; the rest are closed after
// `idle_timeout` (engines on uvicorn close after 5 s).
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/rare.h"
#include "core/model/mesh_view.h"
#include "data/stream/watched_stream.h"
#include "port/loop.h"

namespace infermesh::data {

struct UpstreamConnection {
  explicit UpstreamConnection(port::StreamPtr connected) : stream(std::move(connected)) {}
  WatchedStream stream;
  EndpointId endpoint;
  std::string authority;
  Rare<TlsOptions> tls;
  bool reused = false;  // has carried a request before: a reset before the first byte says little
                        // about the engine
  Instant idle_since{};
};
using UpstreamConnectionPtr = std::unique_ptr<UpstreamConnection>;

// A connection that is being made. Whoever gives up before it has ended leaves it to the pool, for
// the next request; so nobody waits for it in vain, and the engine never hears of the one given up.
class Dial {
 public:
  Dial(Dial&&) = default;
  ~Dial();

  bool ended() const { return state_->result.has_value(); }
  Result<UpstreamConnectionPtr> take() { return std::move(*state_->result); }

 private:
  friend class UpstreamPool;
  struct State {
    std::optional<Result<UpstreamConnectionPtr>> result;
    port::Wakeup* wake = nullptr;  // null: given up
  };
  explicit Dial(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

class UpstreamPool {
 public:
  struct Limits {
    std::size_t idle_per_endpoint_max = 64;
    Duration idle_timeout = 4s;
  };

  UpstreamPool(port::Loop& loop, Limits limits);

  // The idle connection that was used last, or null.
  UpstreamConnectionPtr take(const Endpoint& endpoint);
  // Begins to connect. `wake` is set when it has ended, at `deadline` at the latest.
  Dial dial(const Endpoint& endpoint, Instant deadline, port::Wakeup& wake);
  void give_back(UpstreamConnectionPtr connection);
  std::size_t idle() const;

 private:
  port::Task<void> make(Endpoint endpoint, Instant deadline, std::shared_ptr<Dial::State> state);
  void expire();
  void drop(const UpstreamConnection& connection);

  port::Loop& loop_;
  Limits limits_;
  std::map<EndpointId, std::vector<UpstreamConnectionPtr>> idle_;
  port::Timer expiry_;
};

}  // namespace infermesh::data
