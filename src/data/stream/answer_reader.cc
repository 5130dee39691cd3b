#include "data/stream/answer_reader.h"

#include "base/free_text.h"

namespace infermesh::data {

using port::IoStatus;

AnswerReader::AnswerReader(WatchedStream& stream, http::BodyDecoder decoder, std::string begun)
    : stream_(stream), decoder_(std::move(decoder)), text_(std::move(begun)), rest_(text_) {}

AnswerReader::Piece AnswerReader::next(std::span<char> scratch) {
  while (true) {
    if (decoder_.done()) return {State::kEnd, {}};
    if (decoder_.state() == http::BodyState::kError) return {State::kMalformed, {}};
    if (!rest_.empty()) {
      const http::BodyPiece piece = decoder_.decode(rest_);
      rest_.remove_prefix(piece.consumed);
      if (!piece.payload.empty()) return {State::kPayload, piece.payload};
      continue;
    }
    if (ended_) return {State::kTruncated, {}};
    if (!stream_.may_read()) return {State::kNothing, {}};
    const port::IoResult result = stream_.read(scratch);
    if (result.status == IoStatus::kWouldBlock) return {State::kNothing, {}};
    if (result.status != IoStatus::kOk) {
      ended_ = true;
      const bool clean =
          result.status == IoStatus::kEnd && decoder_.finish_on_eof() == http::BodyEof::kClean;
      return {clean ? State::kEnd : State::kTruncated, {}};
    }
    rest_ = std::string_view(scratch.data(), result.bytes);
  }
}

void AnswerReader::keep() {
  if (rest_.empty()) {
    free_text(text_);
    return;
  }
  std::string saved(rest_);
  text_ = std::move(saved);
  rest_ = text_;
}

}  // namespace infermesh::data
