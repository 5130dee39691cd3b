// Scanner::run: whole tokens without escapes, which are nearly all, go straight to the sink, the
// others by way of next(). It is compiled into whoever calls it, with
// struct Sink { template <TokenKind kind> bool take(const Token& token); };  // false: stop
#pragma once

#include "wire/json/scanner_place.h"

namespace infermesh::json {

template <typename Sink>
bool hand_on(Sink& sink, const Token& token) {
  using enum TokenKind;
  switch (token.kind) {
    case kBeginObject:
      return sink.template take<kBeginObject>(token);
    case kEndObject:
      return sink.template take<kEndObject>(token);
    case kBeginArray:
      return sink.template take<kBeginArray>(token);
    case kEndArray:
      return sink.template take<kEndArray>(token);
    case kKey:
      return sink.template take<kKey>(token);
    case kString:
      return sink.template take<kString>(token);
    case kNumber:
      return sink.template take<kNumber>(token);
    case kTrue:
      return sink.template take<kTrue>(token);
    case kFalse:
      return sink.template take<kFalse>(token);
    default:
      return sink.template take<kNull>(token);
  }
}

// Until a token cannot be taken at a glance.
template <typename Sink>
bool Scanner::run_whole(Sink& sink, Place& at) {
  using enum TokenKind;
  Token token;
  const auto value = [&](char c) {  // 1: goes on, 0: cannot, -1: the sink says stop
    const auto told = [](bool goes_on) { return goes_on ? 1 : -1; };
    switch (c) {
      case '"':
        return at.take_string(kString, token) ? told(sink.template take<kString>(token)) : 0;
      case '{':
        return at.take_open(kBeginObject, token) ? told(sink.template take<kBeginObject>(token))
                                                 : 0;
      case '[':
        return at.take_open(kBeginArray, token) ? told(sink.template take<kBeginArray>(token)) : 0;
      case 't':
        return at.take_literal(kTrue, "true", token) ? told(sink.template take<kTrue>(token)) : 0;
      case 'f':
        return at.take_literal(kFalse, "false", token) ? told(sink.template take<kFalse>(token))
                                                       : 0;
      case 'n':
        return at.take_literal(kNull, "null", token) ? told(sink.template take<kNull>(token)) : 0;
      default:
        return at.take_number(token) ? told(sink.template take<kNumber>(token)) : 0;
    }
  };
  for (;;) {
    at.skip_spaces();
    if (at.p == at.end) return true;
    const char c = *at.p;
    if (c == (at.in_object ? '}' : ']') && at.may_close()) {
      at.take_close(at.in_object ? kEndObject : kEndArray, token);
      if (!hand_on(sink, token)) return false;
      continue;
    }
    switch (at.expect) {
      case Expect::kKeyOrEnd:
      case Expect::kKey:
        if (c != '"' || !at.take_string(kKey, token)) return true;
        if (!sink.template take<kKey>(token)) return false;
        break;
      case Expect::kColon:
        if (c != ':') return true;
        at.take_colon();
        break;
      case Expect::kValueOrEnd:
      case Expect::kValue:
        if (const int went = value(c); went != 1) return went == 0;
        break;
      case Expect::kCommaOrEnd:
        if (c != ',') return true;
        at.take_comma();
        break;
      case Expect::kNothing:
        return true;
    }
  }
}

template <typename Sink>
TokenKind Scanner::run(Sink& sink) {
  for (;;) {
    if (mode_ == Mode::kBetween) {
      Place at{at_,
               end_,
               base_ - reinterpret_cast<std::uintptr_t>(start_),
               objects_,
               depth_,
               expect_,
               depth_ != 0 && in_object()};
      const bool goes_on = run_whole(sink, at);
      at_ = at.p;
      expect_ = at.expect;
      depth_ = at.depth;
      if (!goes_on) return TokenKind::kNull;
    }
    const Token token = next();
    if (token.kind == TokenKind::kMore || token.kind == TokenKind::kError) return token.kind;
    if (!hand_on(sink, token)) return TokenKind::kNull;
  }
}

}  // namespace infermesh::json
