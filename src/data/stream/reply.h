// Reply: one response on a client connection (HTTP/1) or stream (HTTP/2). The head is kept back
// until the first body bytes, so that they leave in one write, and so that nothing is promised
// before there is something to send. Ends cleanly by finish(), or by abort(), after which the
// client sees an unclean close. On the connection's shard.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/stream/client_side.h"
#include "wire/http/head.h"

namespace infermesh::data {

// The other form of a reply: frames of HTTP/2 instead of text. Body bytes go through the client's
// OutBuffer in either form; whoever serves the stream ends it.
class ReplyFrames {
 public:
  virtual ~ReplyFrames() = default;
  virtual void begin(int status, std::optional<std::uint64_t> length) = 0;
  virtual void header(std::string_view name, std::string_view value) = 0;
  virtual void send_head() = 0;
  virtual void send_interim(int status) = 0;
};

class Reply {
 public:
  enum class Payload : std::uint8_t { kSent, kLeftOut };  // left out: of a HEAD
  struct To {  // what the client's request says about the form of the answer
    int version_minor = 1;
    bool keep_alive = true;
    ReplyFrames* frames = nullptr;  // null: HTTP/1
    Payload payload = Payload::kSent;
  };
  Reply(ClientSide& client, To to) : client_(client), to_(to) {}

  // Begins the head. `length`: content-length; absent: chunked, or until close for HTTP/1.0.
  void begin(int status, std::optional<std::uint64_t> length);
  // Begins a 101: what follows the head is that protocol's, and the connection ends with it.
  void switch_protocols(std::string_view protocol);
  void header(std::string_view name, std::string_view value);
  // The connection ends after this response, and its head says so.
  void close_after() { to_.keep_alive = false; }

  void send_continue();  // 100, before the head
  void send_head();      // at once, without a body
  void body(std::span<const std::string_view> pieces);
  void body(std::string_view piece) { body(std::span(&piece, 1)); }
  void finish();
  // The last body bytes and the end in one write.
  void finish(std::string_view last);
  void abort();

  bool begun() const { return status_ != 0; }
  bool head_sent() const { return head_sent_; }
  bool ended() const { return ended_; }
  bool aborted() const { return aborted_; }
  int status() const { return status_; }
  bool keep_alive() const { return to_.keep_alive && !aborted_; }
  std::uint64_t body_bytes() const { return body_bytes_; }

 private:
  void write(std::span<const std::string_view> pieces, std::string_view tail);

  ClientSide& client_;
  To to_;
  int status_ = 0;
  std::string head_;
  bool chunked_ = false;
  bool head_sent_ = false, ended_ = false, aborted_ = false;
  std::uint64_t body_bytes_ = 0;
};

}  // namespace infermesh::data
