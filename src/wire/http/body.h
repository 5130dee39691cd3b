// BodyDecoder: takes the framing off a message body (RFC 9112 6 and 7), a piece at a time and
// without copying: payload views lie in the caller's input. One decoder for one body; no buffers,
// so a silent stream holds no memory. Strict: chunk sizes are 1 to 16 hex digits, every CRLF exact,
// extensions at most 256 bytes and trailers at most 8 KiB, both read and dropped. The caller bounds
// the size of the payload (total()).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/rare.h"
#include "base/result.h"
#include "wire/http/head.h"

namespace infermesh::http {

enum class BodyState : std::uint8_t { kNeedMore, kDone, kError };

struct BodyPiece {
  std::string_view payload;  // may be empty; on kError, what came before the fault
  std::size_t consumed = 0;  // bytes of the input that are dealt with, payload included
  BodyState state = BodyState::kNeedMore;
};

enum class BodyEof : std::uint8_t { kClean, kTruncated };

class BodyDecoder {
 public:
  BodyDecoder() : state_(BodyState::kDone) {}  // no body
  explicit BodyDecoder(const RequestHead& head);
  explicit BodyDecoder(const ResponseHead& head);
  BodyDecoder(BodyFraming framing, std::uint64_t length, ErrorCode when_malformed);

  // At most one payload piece a call. While the state is kNeedMore and input is left over, call
  // again with the rest; every call with input takes at least one byte. Bytes after kDone belong to
  // the next message.
  BodyPiece decode(std::string_view input);
  // The peer has sent everything: whether that is where the body ends.
  BodyEof finish_on_eof();

  BodyState state() const { return state_; }
  bool done() const { return state_ == BodyState::kDone; }
  const Error& error() const { return *error_; }  // when kError
  std::uint64_t total() const { return total_; }  // payload bytes so far
  std::uint64_t expected() const { return framing_ == BodyFraming::kLength ? remaining_ : 0; }

 private:
  enum class Chunk : std::uint8_t {
    kSize,
    kExtension,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailerStart,
    kTrailerLine,
    kTrailerLf,
    kLastLf
  };
  std::string_view take_data(std::string_view input, std::size_t at);
  BodyPiece decode_chunked(std::string_view input);
  void step(char c);  // one byte of chunk framing
  void step_size(char c);
  void step_trailer(char c);
  void refuse(std::string detail);

  BodyFraming framing_ = BodyFraming::kNone;
  BodyState state_ = BodyState::kNeedMore;
  Chunk chunk_ = Chunk::kSize;
  ErrorCode when_malformed_ = ErrorCode::kBadRequest;
  std::uint8_t digits_ = 0;
  std::uint16_t dropped_ = 0;    // bytes of this extension, or of all trailers
  std::uint64_t remaining_ = 0;  // of the body, or of this chunk
  std::uint64_t total_ = 0;
  Rare<Error> error_;
};

}  // namespace infermesh::http
