#include "wire/http/body.h"

#include <algorithm>

#include "wire/http/find_control.h"

namespace infermesh::http {
namespace {

constexpr std::uint8_t kSizeDigitsMax = 16;
constexpr std::uint16_t kExtensionBytesMax = 256;
constexpr std::uint16_t kTrailerBytesMax = 8 * 1024;

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

BodyDecoder::BodyDecoder(BodyFraming framing, std::uint64_t length, ErrorCode when_malformed)
    : framing_(framing), when_malformed_(when_malformed) {
  if (framing == BodyFraming::kLength) remaining_ = length;
  const bool empty = framing == BodyFraming::kLength && length == 0;
  if (framing == BodyFraming::kNone || empty) state_ = BodyState::kDone;
}

BodyDecoder::BodyDecoder(const RequestHead& head)
    : BodyDecoder(head.framing(), head.content_length.value_or(0), ErrorCode::kBadRequest) {}

BodyDecoder::BodyDecoder(const ResponseHead& head)
    : BodyDecoder(head.framing, head.content_length.value_or(0), ErrorCode::kUpstreamBadResponse) {}

BodyPiece BodyDecoder::decode(std::string_view input) {
  if (state_ != BodyState::kNeedMore) return {{}, 0, state_};
  if (framing_ == BodyFraming::kChunked) return decode_chunked(input);
  if (framing_ == BodyFraming::kUntilClose) {
    total_ += input.size();
    return {input, input.size(), state_};
  }
  const auto payload = take_data(input, 0);
  if (remaining_ == 0) state_ = BodyState::kDone;
  return {payload, payload.size(), state_};
}

BodyEof BodyDecoder::finish_on_eof() {
  if (state_ == BodyState::kDone) return BodyEof::kClean;
  if (state_ == BodyState::kNeedMore && framing_ == BodyFraming::kUntilClose) {
    state_ = BodyState::kDone;
    return BodyEof::kClean;
  }
  return BodyEof::kTruncated;
}

std::string_view BodyDecoder::take_data(std::string_view input, std::size_t at) {
  const auto size = std::min<std::uint64_t>(remaining_, input.size() - at);
  remaining_ -= size;
  total_ += size;
  return input.substr(at, size);
}

// Framing before and after the one piece of payload goes in the same call, so that the end of a
// body is seen with its last piece when it has arrived with it.
BodyPiece BodyDecoder::decode_chunked(std::string_view input) {
  BodyPiece piece;
  while (piece.consumed < input.size() && state_ == BodyState::kNeedMore) {
    if (chunk_ != Chunk::kData) {
      step(input[piece.consumed]);
      if (state_ != BodyState::kError) ++piece.consumed;
      continue;
    }
    if (!piece.payload.empty()) break;
    piece.payload = take_data(input, piece.consumed);
    piece.consumed += piece.payload.size();
    if (remaining_ == 0) chunk_ = Chunk::kDataCr;
  }
  piece.state = state_;
  return piece;
}

void BodyDecoder::refuse(std::string detail) {
  state_ = BodyState::kError;
  error_ = Error{when_malformed_, std::move(detail), {}};
}

void BodyDecoder::step(char c) {
  switch (chunk_) {
    case Chunk::kSize:
      return step_size(c);
    case Chunk::kExtension:
      if (c == '\r') {
        chunk_ = Chunk::kSizeLf;
      } else if (is_control(c)) {
        refuse("A chunk extension has a control character or a bare LF.");
      } else if (++dropped_ > kExtensionBytesMax) {
        refuse("A chunk extension is longer than 256 bytes.");
      }
      return;
    case Chunk::kSizeLf:
      if (c != '\n') return refuse("A chunk size line has a CR that no LF follows.");
      digits_ = 0;
      dropped_ = 0;
      chunk_ = remaining_ == 0 ? Chunk::kTrailerStart : Chunk::kData;
      return;
    case Chunk::kDataCr:
      if (c != '\r') return refuse("A chunk is longer than its size says.");
      chunk_ = Chunk::kDataLf;
      return;
    case Chunk::kDataLf:
      if (c != '\n') return refuse("A chunk ends with a CR that no LF follows.");
      chunk_ = Chunk::kSize;
      return;
    default:
      return step_trailer(c);
  }
}

void BodyDecoder::step_size(char c) {
  const int value = hex_value(c);
  if (value >= 0) {
    if (++digits_ > kSizeDigitsMax) return refuse("A chunk size has more than 16 digits.");
    remaining_ = remaining_ << 4 | static_cast<std::uint64_t>(value);
    return;
  }
  if (digits_ == 0 || (c != '\r' && c != ';')) {
    return refuse("A chunk size is not a plain hexadecimal number.");
  }
  chunk_ = c == '\r' ? Chunk::kSizeLf : Chunk::kExtension;
}

void BodyDecoder::step_trailer(char c) {
  if (chunk_ == Chunk::kTrailerLf || chunk_ == Chunk::kLastLf) {
    if (c != '\n') return refuse("A trailer line has a CR that no LF follows.");
    if (chunk_ == Chunk::kLastLf) state_ = BodyState::kDone;
    chunk_ = Chunk::kTrailerStart;
    return;
  }
  if (++dropped_ > kTrailerBytesMax) return refuse("The trailers are longer than 8 KiB.");
  if (c == '\r') {
    chunk_ = chunk_ == Chunk::kTrailerStart ? Chunk::kLastLf : Chunk::kTrailerLf;
    return;
  }
  if (is_control(c)) return refuse("A trailer line has a control character or a bare LF.");
  const bool folded = chunk_ == Chunk::kTrailerStart && (c == ' ' || c == '\t');
  if (folded) return refuse("A trailer line is folded (begins with a blank).");
  chunk_ = Chunk::kTrailerLine;
}

}  // namespace infermesh::http
