// Http2Upstreams: connections over HTTP/2 to engines, those of one shard: by prior knowledge (h2c),
// or over TLS with ALPN.
// A connection carries as many streams as the engine allows, at most streams_per_connection_max;
// when all are full another is made, up to connections_per_engine_max. Requests that wait for a
// connection share it.
//
// A connection with streams that says nothing for ping_after is sent a PING, and is given up when
// none comes back: its streams break. GOAWAY: no more streams on it; those that the engine says it
// has not begun are closed with REFUSED_STREAM, and may be asked again elsewhere.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/model/mesh_view.h"
#include "data/http2/link.h"

namespace infermesh::data {

class Http2Upstream;  // one connection

class Http2Upstreams {
 public:
  struct Limits {
    std::size_t connections_per_engine_max = 16;
    std::size_t streams_per_connection_max = 100;
    Duration idle_timeout = 60s;  // of a connection without streams
    Duration ping_after = 30s;
    Duration ping_timeout = 10s;
  };
  Http2Upstreams(port::Loop& loop, std::span<char> scratch, Limits limits);
  ~Http2Upstreams();

  // A connection that is being made, perhaps for others too.
  class Dial {
   public:
    Dial() = default;
    Dial(Dial&&) = default;
    Dial& operator=(Dial&&) = default;
    ~Dial();
    bool ended() const { return state_->result.has_value(); }
    const Result<void>& result() const { return *state_->result; }

   private:
    friend class Http2Upstreams;
    struct State {
      std::optional<Result<void>> result;
      port::Wakeup* wake = nullptr;
    };
    std::shared_ptr<State> state_;
  };

  // A connection there is, to where the engine speaks gRPC, has room for one more stream.
  bool has_room(const Endpoint& engine) const;
  // Opens one on it.
  Result<std::shared_ptr<Http2Stream>> open(const Endpoint& engine, const http::Headers& fields,
                                            http2::Body body);
  // Makes a connection, or waits for one that is being made. `wake` is set when that has ended;
  // then there may be room. kUpstreamConnectFailed at once when the engine has as many as it may.
  Result<Dial> dial(const Endpoint& to, Instant deadline, port::Wakeup& wake);
  std::size_t connections() const;

 private:
  friend class Http2Upstream;
  struct Origin {  // connections to it are alike
    std::string authority;
    std::optional<TlsOptions> tls;
    auto operator<=>(const Origin&) const = default;
  };
  struct Engine {
    std::vector<std::shared_ptr<Http2Upstream>> connections;
    std::vector<std::weak_ptr<Dial::State>> waiting;
    std::size_t dialing = 0;
  };
  static Origin origin_of(const Endpoint& engine) {
    return {engine.grpc.authority, engine.grpc_tls};
  }
  port::Task<void> make(Origin origin, port::Target target, Instant deadline,
                        std::shared_ptr<bool> alive);
  void tell(Engine& engine, const Result<void>& result);
  void forget(const Origin& origin, const Http2Upstream* connection);
  Http2Upstream* roomy(const Origin& origin) const;

  port::Loop& loop_;
  std::span<char> scratch_;
  Limits limits_;
  std::map<Origin, Engine> engines_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace infermesh::data
