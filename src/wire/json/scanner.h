// Scanner: reads JSON (RFC 8259) that arrives in pieces of any size and hands it on token by token.
// It checks the structure strictly (brackets, commas, strings, escapes, numbers, literals) but not
// that strings are valid UTF-8, and copies nothing: strings and numbers come as pieces of the
// caller's bytes, still escaped.
//
//   scanner.feed(bytes);
//   for (Token token = scanner.next(); token.kind != TokenKind::kMore; token = scanner.next()) ...
// or scanner.run(sink) of scanner_run.h, which is twice as fast.
//
// Owned by one exchange, no shared state, a fixed 100 bytes or so. Nesting is bounded by kDepthMax.
// It fails by a kError token, again and again from then on; error_text() names the byte.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace infermesh::json {

constexpr std::uint32_t kDepthMax = 128;  // objects and arrays open at once

enum class TokenKind : std::uint8_t {
  kMore,   // all bytes fed are used up
  kError,  // not JSON; see error_text()
  kBeginObject,
  kEndObject,
  kBeginArray,
  kEndArray,
  kKey,     // in pieces
  kString,  // in pieces
  kNumber,  // in pieces
  kTrue,
  kFalse,
  kNull,
};

// Keys, strings and numbers may come as several tokens: `first` on the first of them, `last` on the
// last, `text` the bytes in between (without the quotes), possibly empty. `begin` and `end` are the
// absolute offsets that this token covers, quotes included. `depth` is the number of open objects
// and arrays around the token; a bracket counts as outside of what it opens or closes. `plain`:
// `text` is a whole key or string without escapes; false says nothing.
struct Token {
  TokenKind kind = TokenKind::kMore;
  bool first = true;
  bool last = true;
  bool plain = false;
  std::uint8_t depth = 0;
  std::string_view text{};
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

class Scanner {
 public:
  // The bytes must stay until next() has answered kMore; feeding before that is a programmer error.
  void feed(std::string_view bytes);
  Token next();
  // kMore: the bytes are used up; kError; kNull: the sink says stop.
  template <typename Sink>
  TokenKind run(Sink& sink);

  // No more bytes will come: true when exactly one whole value was read. A number that is the whole
  // document gets no `last` piece. False is a failure, see error_text().
  bool finish();

  bool done() const { return expect_ == Expect::kNothing && mode_ == Mode::kBetween; }
  bool in_string_value() const {
    return mode_ == Mode::kString && string_kind_ == TokenKind::kString;
  }
  bool failed() const { return mode_ == Mode::kFailed; }
  std::uint64_t offset() const { return base_ + static_cast<std::uint64_t>(at_ - start_); }
  // Where an unfinished literal begins, else offset(): the bytes before it have all been handed on.
  std::uint64_t settled_offset() const;
  // One sentence without a full stop: "expected ':' after the key at byte 17".
  std::string error_text() const;

 private:
  enum class Mode : std::uint8_t { kBetween, kString, kNumber, kLiteral, kFailed };
  enum class Expect : std::uint8_t {
    kValue,
    kValueOrEnd,  // after '['
    kKeyOrEnd,    // after '{'
    kKey,         // after ',' in an object
    kColon,
    kCommaOrEnd,
    kNothing,  // the value is complete
  };
  enum class Number : std::uint8_t;  // how far a number is, in scanner.cc

  struct Place;
  template <typename Sink>
  bool run_whole(Sink& sink, Place& at);
  Token next_piece();
  Token begin_value(char c);
  Token begin_string(TokenKind kind);
  Token open(TokenKind kind);
  Token close(TokenKind kind);
  Token string_piece(bool first, std::uint64_t begin);
  const char* escape(const char* p);
  Token number_piece(bool first);
  Token literal_piece();
  bool number_takes(char c);
  bool number_whole() const;
  Token fail(std::string_view what);
  void value_done() { expect_ = depth_ == 0 ? Expect::kNothing : Expect::kCommaOrEnd; }
  bool in_object() const { return (objects_[(depth_ - 1) >> 6] >> ((depth_ - 1) & 63)) & 1; }

  const char* start_ = nullptr;
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  std::uint64_t base_ = 0;  // absolute offset of *start_
  std::string_view error_;
  std::array<std::uint64_t, kDepthMax / 64> objects_{};  // bit per level: object or array
  std::uint32_t depth_ = 0;
  Mode mode_ = Mode::kBetween;
  Expect expect_ = Expect::kValue;
  TokenKind string_kind_ = TokenKind::kString;
  TokenKind literal_ = TokenKind::kNull;
  Number number_{};
  std::uint8_t escape_ = 0;   // 0 none, 1 after a backslash, 5..2 hex digits to come + 1
  std::uint8_t matched_ = 0;  // bytes of the literal seen
};

}  // namespace infermesh::json
