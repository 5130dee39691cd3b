#include "wire/json/scanner.h"

#include "base/assert.h"
#include "wire/json/find_special.h"

namespace infermesh::json {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

std::string_view literal_text(TokenKind kind) {
  if (kind == TokenKind::kTrue) return "true";
  return kind == TokenKind::kFalse ? "false" : "null";
}

}  // namespace

enum class Scanner::Number : std::uint8_t {
  kMinus,
  kZero,
  kInteger,
  kDot,
  kFraction,
  kE,
  kSign,
  kExponent
};

void Scanner::feed(std::string_view bytes) {
  if (mode_ == Mode::kFailed) return;
  IM_ASSERT(at_ == end_);
  base_ += static_cast<std::uint64_t>(end_ - start_);
  start_ = at_ = bytes.data();
  end_ = start_ + bytes.size();
}

Token Scanner::next() {
  if (mode_ != Mode::kBetween) return next_piece();
  for (;; ++at_) {
    while (at_ != end_ && is_space(*at_)) ++at_;
    if (at_ == end_) return {};
    const char c = *at_;
    switch (expect_) {
      case Expect::kValue:
        return begin_value(c);
      case Expect::kValueOrEnd:
        return c == ']' ? close(TokenKind::kEndArray) : begin_value(c);
      case Expect::kKeyOrEnd:
        if (c == '}') return close(TokenKind::kEndObject);
        [[fallthrough]];
      case Expect::kKey:
        if (c != '"') return fail("expected a key in quotes");
        return begin_string(TokenKind::kKey);
      case Expect::kColon:
        if (c != ':') return fail("expected ':' after the key");
        expect_ = Expect::kValue;
        continue;
      case Expect::kCommaOrEnd:
        if (c == ',') {
          expect_ = in_object() ? Expect::kKey : Expect::kValue;
          continue;
        }
        if (in_object()) {
          return c == '}' ? close(TokenKind::kEndObject) : fail("expected ',' or '}'");
        }
        return c == ']' ? close(TokenKind::kEndArray) : fail("expected ',' or ']'");
      case Expect::kNothing:
        return fail("unexpected bytes after the end of the value");
    }
  }
}

Token Scanner::next_piece() {
  if (mode_ == Mode::kFailed) {
    return Token{.kind = TokenKind::kError, .begin = offset(), .end = offset()};
  }
  if (at_ == end_) return {};
  if (mode_ == Mode::kString) return string_piece(false, offset());
  return mode_ == Mode::kNumber ? number_piece(false) : literal_piece();
}

Token Scanner::begin_value(char c) {
  switch (c) {
    case '{':
      return open(TokenKind::kBeginObject);
    case '[':
      return open(TokenKind::kBeginArray);
    case '"':
      return begin_string(TokenKind::kString);
    case 't':
      literal_ = TokenKind::kTrue;
      break;
    case 'f':
      literal_ = TokenKind::kFalse;
      break;
    case 'n':
      literal_ = TokenKind::kNull;
      break;
    default:
      if (c != '-' && !is_digit(c)) return fail("expected a value");
      mode_ = Mode::kNumber;
      number_ = c == '-' ? Number::kMinus : c == '0' ? Number::kZero : Number::kInteger;
      return number_piece(true);
  }
  mode_ = Mode::kLiteral;
  matched_ = 0;
  return literal_piece();
}

Token Scanner::begin_string(TokenKind kind) {
  const std::uint64_t begin = offset();
  ++at_;
  mode_ = Mode::kString;
  string_kind_ = kind;
  escape_ = 0;
  return string_piece(true, begin);
}

Token Scanner::open(TokenKind kind) {
  if (depth_ == kDepthMax) return fail("nested deeper than 128 levels");
  const std::uint64_t bit = std::uint64_t{1} << (depth_ & 63);
  std::uint64_t& word = objects_[depth_ >> 6];
  const bool object = kind == TokenKind::kBeginObject;
  word = object ? word | bit : word & ~bit;
  const Token token{.kind = kind,
                    .depth = static_cast<std::uint8_t>(depth_),
                    .text = {at_, 1},
                    .begin = offset(),
                    .end = offset() + 1};
  ++depth_;
  ++at_;
  expect_ = object ? Expect::kKeyOrEnd : Expect::kValueOrEnd;
  return token;
}

Token Scanner::close(TokenKind kind) {
  --depth_;
  const Token token{.kind = kind,
                    .depth = static_cast<std::uint8_t>(depth_),
                    .text = {at_, 1},
                    .begin = offset(),
                    .end = offset() + 1};
  ++at_;
  value_done();
  return token;
}

Token Scanner::string_piece(bool first, std::uint64_t begin) {
  const char* const from = at_;
  const char* p = from;
  bool last = false;
  for (;;) {
    if (escape_ != 0) {
      p = escape(p);
      if (mode_ == Mode::kFailed) return next();
    }
    p = find_special(p, end_);
    if (p == end_) break;
    if (*p == '"') {
      last = true;
      break;
    }
    if (*p != '\\') {
      at_ = p;
      return fail("control character in a string");
    }
    if (end_ - p >= 2 && is_simple_escape(p[1])) {  // nearly all of them, all at once
      p = skip_text(p + 2, end_);
      continue;
    }
    escape_ = 1;
    ++p;
  }
  at_ = last ? p + 1 : p;
  if (last) {
    mode_ = Mode::kBetween;
    if (string_kind_ == TokenKind::kKey) {
      expect_ = Expect::kColon;
    } else {
      value_done();
    }
  }
  return Token{.kind = string_kind_,
               .first = first,
               .last = last,
               .depth = static_cast<std::uint8_t>(depth_),
               .text = {from, static_cast<std::size_t>(p - from)},
               .begin = begin,
               .end = offset()};
}

// Goes on in an escape sequence at p; returns where it stopped (its end, or the end of the bytes).
const char* Scanner::escape(const char* p) {
  for (; p != end_ && escape_ != 0; ++p) {
    const char c = *p;
    if (escape_ == 1) {
      if (c == 'u') {
        escape_ = 5;
      } else if (is_simple_escape(c)) {
        escape_ = 0;
      } else {
        at_ = p;
        fail("invalid escape in a string");
        return p;
      }
    } else if (is_hex(c)) {
      escape_ = escape_ == 2 ? 0 : static_cast<std::uint8_t>(escape_ - 1);
    } else {
      at_ = p;
      fail("invalid \\u escape in a string");
      return p;
    }
  }
  return p;
}

// Whether c goes on with the number; moves its state. The first digit or minus sets the state
// before.
bool Scanner::number_takes(char c) {
  switch (number_) {
    case Number::kMinus:
      if (!is_digit(c)) return false;
      number_ = c == '0' ? Number::kZero : Number::kInteger;
      return true;
    case Number::kInteger:
      if (is_digit(c)) return true;
      [[fallthrough]];
    case Number::kZero:
      if (c == '.') {
        number_ = Number::kDot;
        return true;
      }
      break;
    case Number::kDot:
    case Number::kFraction:
      if (is_digit(c)) {
        number_ = Number::kFraction;
        return true;
      }
      if (number_ == Number::kDot) return false;
      break;
    case Number::kE:
      if (c == '+' || c == '-') {
        number_ = Number::kSign;
        return true;
      }
      [[fallthrough]];
    case Number::kSign:
    case Number::kExponent:
      if (!is_digit(c)) return false;
      number_ = Number::kExponent;
      return true;
  }
  if (c != 'e' && c != 'E') return false;
  number_ = Number::kE;
  return true;
}

bool Scanner::number_whole() const {
  return number_ == Number::kZero || number_ == Number::kInteger || number_ == Number::kFraction ||
         number_ == Number::kExponent;
}

Token Scanner::number_piece(bool first) {
  const char* const from = at_;
  const std::uint64_t begin = offset();
  if (first) ++at_;
  if (number_ == Number::kInteger) {  // most numbers are nothing else
    while (at_ != end_ && is_digit(*at_)) ++at_;
  }
  while (at_ != end_ && number_takes(*at_)) ++at_;
  const bool last = at_ != end_;
  if (last) {
    if (!number_whole()) return fail("malformed number");
    mode_ = Mode::kBetween;
    value_done();
  }
  return Token{.kind = TokenKind::kNumber,
               .first = first,
               .last = last,
               .depth = static_cast<std::uint8_t>(depth_),
               .text = {from, static_cast<std::size_t>(at_ - from)},
               .begin = begin,
               .end = offset()};
}

Token Scanner::literal_piece() {
  const std::string_view text = literal_text(literal_);
  while (at_ != end_ && matched_ < text.size()) {
    if (*at_ != text[matched_]) return fail("expected a value");
    ++at_;
    ++matched_;
  }
  if (matched_ < text.size()) return {};
  mode_ = Mode::kBetween;
  value_done();
  return Token{.kind = literal_,
               .depth = static_cast<std::uint8_t>(depth_),
               .text = text,
               .begin = offset() - text.size(),
               .end = offset()};
}

bool Scanner::finish() {
  if (mode_ == Mode::kNumber && depth_ == 0 && number_whole()) {
    mode_ = Mode::kBetween;
    value_done();
  }
  if (done()) return true;
  if (mode_ != Mode::kFailed) {
    if (offset() == 0) {
      fail("there are no bytes");
    } else {
      fail(mode_ == Mode::kString ? "the bytes end inside a string" : "the bytes end too early");
    }
  }
  return false;
}

std::uint64_t Scanner::settled_offset() const {
  return mode_ == Mode::kLiteral ? offset() - matched_ : offset();
}

Token Scanner::fail(std::string_view what) {
  error_ = what;
  mode_ = Mode::kFailed;
  return next();
}

std::string Scanner::error_text() const {
  return std::string(error_) + " at byte " + std::to_string(offset());
}

}  // namespace infermesh::json
