// Session: one HTTP/2 connection (RFC 9113) of either role, over nghttp2: bytes in, events and
// bytes out; no sockets, no clock (`now` is an argument). Belongs to one connection, on its loop.
//
// Windows are updated only for what was consumed, so what a peer may send ahead is bounded.
// Priorities are ignored. Answers that floods would cause (SETTINGS and PING acknowledgements,
// resets) are bounded, and a peer that exceeds FloodLimits is sent GOAWAY ENHANCE_YOUR_CALM. After
// a protocol error GOAWAY is produced and over() becomes true.
//
// Peers are called from within feed() and produce(); they may call the session, but for those two.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/http2/flood_guard.h"
#include "wire/http2/peers.h"

struct nghttp2_session;

namespace infermesh::http2 {

constexpr std::string_view kClientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

class Session {
 public:
  enum class Role : std::uint8_t { kServer, kClient };
  struct Limits {
    std::uint32_t streams_max = 256;            // that the peer may have open
    std::size_t head_bytes_max = 64 << 10;      // of one header block
    std::uint32_t stream_window = 128 << 10;    // bytes that may come unconsumed on a stream
    std::uint32_t connection_window = 1 << 20;  // and on all of them
    FloodLimits floods = {};
  };
  Session(Role role, const Limits& limits, SessionPeer& peer);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // False: the bytes make no sense as HTTP/2; produce what is left and close.
  bool feed(std::string_view bytes, Instant now);
  // Appends frames until there are `enough` bytes, or none are left.
  void produce(std::string& out, std::size_t enough);
  bool over() const;  // nothing is to be read or written any more
  bool has_output() const;
  bool flooded() const { return flooded_; }
  // A head is to be continued: the rest must follow soon.
  bool amid_head() const { return amid_head_; }

  // Client: opens a stream. Fails when the peer takes no more.
  Result<StreamId> request(const http::Headers& fields, StreamPeer& peer, Body body);
  std::size_t streams_allowed() const;  // client: as the server says; 0 after GOAWAY
  // Server: the head of an answer; without a body it is also its end.
  void respond(StreamId id, const http::Headers& fields, Body body);
  void interim(StreamId id, int status);
  void resume(StreamId id);  // there is something to offer again
  void reset(StreamId id, Code code);
  void forget(StreamId id);  // its peer goes; the stream must have been reset
  void consume(StreamId id, std::size_t bytes);
  void consume_connection(std::size_t bytes);
  void ping();
  void announce_shutdown();  // GOAWAY that refuses nothing yet: a graceful end is near
  void go_away(Code code);   // no streams beyond those that have come

 private:
  friend struct Callbacks;
  StreamPeer* peer_of(StreamId id) const;
  bool spend(bool within_limit);  // false: the peer was sent away

  nghttp2_session* session_ = nullptr;
  SessionPeer& peer_;
  Role role_;
  Limits limits_;
  FloodGuard guard_;
  FieldBlock block_;  // of the head that is being read
  std::size_t block_bytes_ = 0;
  bool amid_head_ = false;
  bool flooded_ = false;
  Instant now_{};
  std::string* sink_ = nullptr;  // of the produce() that runs
  std::size_t enough_ = 0;
};

}  // namespace infermesh::http2
