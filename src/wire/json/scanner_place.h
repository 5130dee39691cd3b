// Where a Scanner is while it runs over whole tokens, and the tokens that can be taken there at a
// glance. A take_ function answers false, and changes nothing, when the token is cut, escaped, a
// fraction or wrong: next() sees to those. Internal to this folder.
#pragma once

#include <cstring>
#include <utility>

#include "wire/json/find_special.h"
#include "wire/json/scanner.h"

namespace infermesh::json {

struct Scanner::Place {
  const char* p;
  const char* end;
  std::uint64_t shift;  // from an address to an absolute offset
  std::array<std::uint64_t, kDepthMax / 64>& objects;
  std::uint32_t depth;
  Expect expect;
  bool in_object;

  Token token(TokenKind kind, const char* begin, std::string_view text) const {
    const auto offset = [&](const char* at) { return shift + std::bit_cast<std::uintptr_t>(at); };
    return {.kind = kind,
            .depth = static_cast<std::uint8_t>(depth),
            .text = text,
            .begin = offset(begin),
            .end = offset(p)};
  }

  bool is_at(char c) const { return p != end && *p == c; }
  void skip_spaces() {
    while (p != end && static_cast<unsigned char>(*p) <= ' ') {
      if (*p != ' ' && *p != '\n' && *p != '\r' && *p != '\t') return;
      ++p;
    }
  }

  bool may_close() const {
    return expect == Expect::kCommaOrEnd || expect == Expect::kKeyOrEnd ||
           expect == Expect::kValueOrEnd;
  }
  void take_colon() {
    ++p;
    if (is_at(' ')) ++p;
    expect = Expect::kValue;
  }
  void take_comma() {
    ++p;
    if (is_at(' ')) ++p;
    expect = in_object ? Expect::kKey : Expect::kValue;
  }
  void value_over() {
    expect = depth == 0 ? Expect::kNothing : Expect::kCommaOrEnd;
    if (depth != 0 && is_at(',')) take_comma();
  }

  bool take_string(TokenKind kind, Token& taken) {
    const char* const begin = p;
    const char* const close = find_special(begin + 1, end);
    if (close == end || *close != '"') return false;
    p = close + 1;
    taken = token(kind, begin, {begin + 1, static_cast<std::size_t>(close - begin - 1)});
    taken.plain = true;
    if (kind == TokenKind::kKey) {
      expect = Expect::kColon;
      if (is_at(':')) take_colon();
    } else {
      value_over();
    }
    return true;
  }

  bool take_number(Token& taken) {
    const auto is_digit = [this](const char* q) { return q != end && *q >= '0' && *q <= '9'; };
    const char* q = p + (*p == '-' ? 1 : 0);
    if (!is_digit(q)) return false;
    const bool zero = *q++ == '0';
    while (!zero && is_digit(q)) ++q;
    if (q == end || *q == '.' || (*q | 0x20) == 'e') return false;
    const char* const begin = std::exchange(p, q);
    taken = token(TokenKind::kNumber, begin, {begin, static_cast<std::size_t>(q - begin)});
    value_over();
    return true;
  }

  bool take_literal(TokenKind kind, std::string_view text, Token& taken) {
    const auto left = static_cast<std::size_t>(end - p);
    if (left < text.size() || std::memcmp(p, text.data(), text.size()) != 0) return false;
    const char* const begin = std::exchange(p, p + text.size());
    taken = token(kind, begin, text);
    value_over();
    return true;
  }

  bool take_open(TokenKind kind, Token& taken) {
    if (depth == kDepthMax) return false;
    const char* const begin = p++;
    taken = token(kind, begin, {begin, 1});
    in_object = kind == TokenKind::kBeginObject;
    const std::uint64_t bit = std::uint64_t{1} << (depth & 63);
    std::uint64_t& word = objects[depth >> 6];
    word = in_object ? word | bit : word & ~bit;
    ++depth;
    expect = in_object ? Expect::kKeyOrEnd : Expect::kValueOrEnd;
    return true;
  }

  void take_close(TokenKind kind, Token& taken) {
    const char* const begin = p++;
    --depth;
    taken = token(kind, begin, {begin, 1});
    const std::uint32_t around = depth - 1;
    in_object = depth != 0 && ((objects[around >> 6] >> (around & 63)) & 1) != 0;
    value_over();
  }
};

}  // namespace infermesh::json
