// One side of an HTTP/1.1 connection as a data plane reads it: heads, bodies, pipelined messages.
// Writes down all that it understood, for comparing two ways of feeding the same bytes.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "fuzz_cuts.h"
#include "wire/http/body.h"
#include "wire/http/head.h"
#include "wire/http/oracle_test.h"

namespace infermesh::fuzz {

inline bool lies_in(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

template <typename Parser>
class Connection {
 public:
  explicit Connection(Parser parser) : parser_(std::move(parser)) {}

  void push(std::string_view piece) {
    buffer_ += piece;
    while (step()) {
    }
  }

  std::string transcript;
  bool broken() const { return broken_; }

 private:
  bool step() {
    if (broken_) return false;
    return in_body_ ? read_body() : read_head();
  }

  bool read_head() {
    const Exact exact(buffer_);
    const auto progress = parser_.feed(exact.view());
    if (!progress) return broke(progress.error());
    if (progress->state == http::HeadState::kNeedMore) return false;
    IM_ASSERT(progress->consumed > 0 && progress->consumed <= buffer_.size());
    for (const http::Header& header : parser_.head().headers) {
      IM_ASSERT(lies_in(header.name, exact.view()) && lies_in(header.value, exact.view()));
      IM_ASSERT(http::is_token(header.name) && http::is_field_content(header.value));
      transcript += fmt::format("{}: {}\n", header.name, header.value);
    }
    ask_oracle(exact.view().substr(0, progress->consumed));
    describe(parser_.head());
    decoder_ = http::BodyDecoder(parser_.head());
    buffer_.erase(0, progress->consumed);
    in_body_ = true;
    return true;
  }

  // Of an answer after interim ones the last head alone.
  void ask_oracle(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of("\r\n"), text.size()));
    for (std::size_t end = 0; (end = text.find("\r\n\r\n") + 4) < text.size();) {
      text.remove_prefix(end);
    }
    IM_ASSERT(http::testing::difference(text, parser_.head()).empty());
  }

  void describe(const http::RequestHead& head) {
    transcript += fmt::format("{} {} {} {} 1.{} {} {} {} {}\n", head.method, head.target, head.path,
                              head.query, head.version_minor, head.content_length.value_or(0),
                              head.chunked, head.keep_alive, head.expect_continue);
    IM_ASSERT(!head.path.empty() && !(head.chunked && head.content_length));
  }
  void describe(const http::ResponseHead& head) {
    transcript += fmt::format("{} {} 1.{} {} {} {}\n", head.status, head.reason, head.version_minor,
                              head.content_length.value_or(0), static_cast<int>(head.framing),
                              head.keep_alive);
    IM_ASSERT(head.status >= 200);
  }

  bool read_body() {
    const Exact exact(buffer_);
    const auto piece = decoder_.decode(exact.view());
    IM_ASSERT(lies_in(piece.payload, exact.view()));
    transcript += piece.payload;
    if (piece.state == http::BodyState::kError) return broke(decoder_.error());
    buffer_.erase(0, piece.consumed);
    if (piece.state == http::BodyState::kDone) {
      transcript += "\n.\n";
      in_body_ = false;
      next_message();
      return !buffer_.empty();
    }
    IM_ASSERT(exact.view().empty() || piece.consumed > 0);
    return !buffer_.empty();
  }

  void next_message() {
    if constexpr (requires { parser_.reset(); }) {
      parser_.reset();
    } else {
      parser_.reset(http::ResponseTo::kOther);
    }
  }

  // What came before the fault may have been given out in part; only the fault itself must be the
  // same.
  bool broke(const Error& error) {
    broken_ = true;
    transcript += fmt::format("\n! {} {}", static_cast<int>(error.code), error.detail);
    return false;
  }

  Parser parser_;
  http::BodyDecoder decoder_;
  std::string buffer_;
  bool in_body_ = false;
  bool broken_ = false;
};

// The bytes at once and in pieces must be understood alike.
template <typename Parser>
std::string read_both_ways(const Input& input, const Parser& parser) {
  Connection whole(parser), pieces(parser);
  whole.push(input.bytes);
  for_each_piece(input, [&](std::string_view piece) { pieces.push(piece); });
  IM_ASSERT(whole.transcript == pieces.transcript);
  return whole.transcript;
}

}  // namespace infermesh::fuzz
