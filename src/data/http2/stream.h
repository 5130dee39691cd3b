// Http2Stream: one stream of an HTTP/2 connection, between the connection's link and whoever uses
// the stream. On one loop.
//
// Bounds: what has come and is not yet read is at most the stream's window; what is to be sent is
// taken in up to kPendingMax, then write() answers kWouldBlock until the peer's window let it out.
// A stream at rest holds no buffer. Shared by the link, while the stream is open, and its user.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "port/stream.h"
#include "port/wakeup.h"
#include "wire/http2/session.h"

namespace infermesh::data {

class Http2Link;

class Http2Stream final : public http2::StreamPeer,
                          public std::enable_shared_from_this<Http2Stream> {
 public:
  static constexpr std::size_t kPendingMax = 32 << 10;

  // `link`: where the connection is as long as it is; null then. A user may keep a stream longer.
  explicit Http2Stream(std::shared_ptr<Http2Link* const> link) : link_(std::move(link)) {}

  // For the user. A failure is a reset of the stream, or the end of its connection.
  port::IoResult read(std::span<char> into);  // kEnd once, then kWouldBlock until a reset
  port::IoResult write(std::span<const std::string_view> pieces);
  void when_readable(std::function<void(port::IoStatus)> callback);
  void when_writable(std::function<void(port::IoStatus)> callback);
  void cancel();
  // Server: the head of the answer; without a body it is also its end.
  void respond(const http2::FieldBlock& head, http2::Body body);
  void end() { end({}); }
  void end(http2::FieldBlock trailers);  // END_STREAM after what was written
  void abort();                          // RST_STREAM INTERNAL_ERROR after what was written
  void reset(http2::Code code);          // at once; what was written may be lost
  void leave();                          // the user goes; an open stream is reset
  void on_change(port::Wakeup* wake) { wake_ = wake; }  // told of what is sent, comes and closes

  http2::StreamId id() const { return id_; }
  bool closed() const { return closed_; }
  http2::Code code() const { return code_; }  // why, when closed
  bool broken() const { return broken_; }     // closed before both sides had ended
  bool ended() const { return ended_in_; }    // the peer has sent everything
  bool sent_all() const { return ended_out_ && pending() == 0; }
  bool unread() const { return unread_.size() > read_; }
  std::size_t pending() const { return pending_.size() - sent_; }
  Http2Link* link() const { return *link_; }  // null: the connection is gone
  // Client: the answer's head, once it has come; trailers, once the stream has ended.
  std::optional<http2::FieldBlock> response;
  http2::Body response_body = http2::Body::kFollows;
  http2::FieldBlock trailers;

  // For the link.
  void accepted(http2::StreamId id) { id_ = id; }     // server
  void asked(http2::StreamId id, http2::Body body) {  // client
    id_ = id;
    asked_ = true;
    ending_ = ended_out_ = body == http2::Body::kNone;
  }
  void tell_ready();  // calls back those who wait for what is there already

  void on_closed(http2::Code code) override;  // also when the connection ends

 private:
  void on_response(http2::FieldBlock block, http2::Body body) override;
  void on_body(std::string_view bytes) override;
  void on_end(http2::FieldBlock block) override;
  http2::Offer offer(std::size_t most) override;
  void take(std::size_t bytes, std::string& out) override;
  void tell_reader(port::IoStatus status);
  void tell_writer(port::IoStatus status);
  void tell_change();
  void drop_unread();
  bool readable() const { return unread() || broken_ || (ended_in_ && !end_told_); }
  bool writable() const { return broken_ || closed_ || pending() < kPendingMax; }

  std::shared_ptr<Http2Link* const> link_;
  http2::StreamId id_ = 0;
  std::string unread_, pending_;
  std::size_t read_ = 0, sent_ = 0;  // of those
  std::function<void(port::IoStatus)> reader_, writer_;
  port::Wakeup* wake_ = nullptr;
  http2::FieldBlock end_block_;
  http::Headers end_fields_;
  http2::Code code_ = http2::Code::kNone;
  bool ended_in_ = false, end_told_ = false;  // the peer's side
  bool ending_ = false, ended_out_ = false;   // ours: to be ended, and done
  bool asked_ = false, aborted_ = false, left_ = false, closed_ = false, broken_ = false;
};

}  // namespace infermesh::data
