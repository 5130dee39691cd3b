// What a Session (session.h) tells: its owner about the connection, each stream's peer about the
// stream; and what it asks of a stream's peer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/http2/head.h"

namespace infermesh::http2 {

using StreamId = std::int32_t;

enum class Code : std::uint32_t {  // RFC 9113 7
  kNone = 0,
  kProtocol = 1,
  kInternal = 2,
  kFlowControl = 3,
  kStreamClosed = 5,
  kRefused = 7,
  kCancel = 8,
  kEnhanceYourCalm = 11,
};

// What a stream has to send now, and what comes after it.
struct Offer {
  enum class Then : std::uint8_t { kMore, kEnd, kAbort };  // kAbort: RST_STREAM INTERNAL_ERROR
  std::size_t bytes =
      0;  // at most as many as were asked for; 0 with kMore: nothing yet, see resume
  Then then = Then::kMore;
  const http::Headers* trailers = nullptr;  // sent after the last bytes, with kEnd
};

class StreamPeer {
 public:
  virtual ~StreamPeer() = default;
  virtual void on_response(FieldBlock block, Body body) = 0;  // client: the final head
  virtual void on_body(std::string_view bytes) = 0;           // to be consumed, also when dropped
  virtual void on_end(FieldBlock trailers) = 0;               // nothing more comes
  virtual void on_closed(Code code) = 0;                      // the last call
  virtual Offer offer(std::size_t most) = 0;
  virtual void take(std::size_t bytes, std::string& out) = 0;  // appends what was offered
};

class SessionPeer {
 public:
  virtual ~SessionPeer() = default;
  // Server: a request. An error is the client's and is to be answered. Null refuses the stream.
  virtual StreamPeer* on_request(StreamId id, Result<http::RequestHead> head, FieldBlock block) = 0;
  virtual void on_goaway(StreamId last, Code code) = 0;
  virtual void on_pong() = 0;
};

}  // namespace infermesh::http2
