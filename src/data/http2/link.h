// Http2Link: the frames of one HTTP/2 connection over its stream of bytes, either role. Whoever
// runs the connection calls receive() and send() after each wake-up; streams that have something to
// send set `wake`. One send() gathers the frames of all streams; while the socket is full nothing
// is made, so streams fill up and their writers stop. On one loop.
//
// Windows: the connection's is opened again as bytes arrive, so that a stream that is not read does
// not hold up the others, until kUnreadMax lie unread on all of them together.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "data/http2/stream.h"
#include "data/stream/out_buffer.h"
#include "data/stream/watched_stream.h"
#include "port/loop.h"

namespace infermesh::data {

// What a link tells the one who runs it.
class Http2LinkOwner {
 public:
  virtual ~Http2LinkOwner() = default;
  // Server: a request on a new stream; an error is the client's and is to be answered. False
  // refuses it.
  virtual bool on_stream(std::shared_ptr<Http2Stream> stream, Result<http::RequestHead> head,
                         http2::FieldBlock block) = 0;
  virtual void on_goaway(http2::StreamId last, http2::Code code) = 0;
  virtual void on_pong() = 0;
};

class Http2Link final : public http2::SessionPeer {
 public:
  static constexpr std::size_t kUnreadMax = 4 << 20;
  struct Wires {
    port::Loop& loop;
    WatchedStream& stream;
    OutBuffer& out;
    port::Wakeup& wake;
  };
  Http2Link(http2::Session::Role role, const http2::Session::Limits& limits, Wires wires,
            Http2LinkOwner& owner);
  ~Http2Link() override;

  enum class State : std::uint8_t { kOpen, kEnded };
  // Takes in what has come, at most one scratch memory full; sets `wake` when there may be more.
  // kEnded: the peer has gone, or its bytes make no sense.
  State receive(std::span<char> scratch);
  State receive(std::string_view bytes);  // read before there was a link
  void send();
  void close(http2::Code code);  // ends all streams, as seen by their users

  // Client: opens a stream; an error when the connection takes none now.
  Result<std::shared_ptr<Http2Stream>> open(const http::Headers& fields, http2::Body body);
  std::size_t open_streams() const { return streams_.size(); }
  http2::Session& session() { return session_; }
  bool saw_peer_end() const { return peer_ended_; }
  Instant heard_at() const { return heard_at_; }  // bytes last came

  // For streams.
  void wants_to_send(Http2Stream& stream);
  void reset(Http2Stream& stream, http2::Code code);
  void reset_after_send(Http2Stream& stream);  // NO_ERROR, once its answer has been sent
  void note_arrived(std::size_t bytes);
  void note_read(Http2Stream& stream, std::size_t bytes);
  void stream_closed(http2::StreamId id);
  void call_soon(Http2Stream& stream);

 private:
  http2::StreamPeer* on_request(http2::StreamId id, Result<http::RequestHead> head,
                                http2::FieldBlock block) override;
  void on_goaway(http2::StreamId last, http2::Code code) override { owner_.on_goaway(last, code); }
  void on_pong() override { owner_.on_pong(); }

  Wires wires_;
  Http2LinkOwner& owner_;
  std::shared_ptr<Http2Link*> self_;  // for streams; null once the connection has ended
  std::unordered_map<http2::StreamId, std::shared_ptr<Http2Stream>> streams_;
  http2::Session session_;
  std::vector<http2::StreamId> answered_;  // before their requests had ended
  std::size_t unread_ = 0;                 // on all streams
  std::size_t withheld_ = 0;               // of the connection's window
  Instant heard_at_{};
  bool peer_ended_ = false;
};

}  // namespace infermesh::data
