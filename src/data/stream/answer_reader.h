// AnswerReader: the payload of an engine's response body as it arrives. Holds no buffer while
// nothing has come: reads go into the shard's scratch memory and are used up before the next wait
// (or kept by keep()). Of one attempt.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "data/stream/watched_stream.h"
#include "wire/http/body.h"

namespace infermesh::data {

class AnswerReader {
 public:
  // `begun`: what has been read of the body together with the head.
  AnswerReader(WatchedStream& stream, http::BodyDecoder decoder, std::string begun);

  enum class State : std::uint8_t {
    kPayload,    // `payload` is good until the next call
    kNothing,    // wait
    kEnd,        // the body is complete
    kTruncated,  // the connection ended before the body did
    kMalformed,  // bad framing
  };
  struct Piece {
    State state = State::kNothing;
    std::string_view payload;
  };
  Piece next(std::span<char> scratch);
  // Before a wait: saves what has been read and not yet been handed out.
  void keep();

  // After kEnd: nothing of another message follows, so the connection can carry the next request.
  bool reusable() const { return rest_.empty() && !ended_; }
  std::uint64_t payload_bytes() const { return decoder_.total(); }

 private:
  WatchedStream& stream_;
  http::BodyDecoder decoder_;
  std::string text_;
  std::string_view rest_;  // in text_ or in the scratch memory
  bool ended_ = false;     // the engine has closed
};

}  // namespace infermesh::data
