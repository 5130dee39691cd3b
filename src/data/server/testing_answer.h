// TestAnswer: an answer as a client of a test has got it, whole or not.
#pragma once

#include <string>
#include <string_view>

#include "wire/http/body.h"
#include "wire/http/head.h"

namespace infermesh::data {

struct TestAnswer {
  int status = 0;  // 0: no whole head came
  std::string head;
  std::string body;        // without its framing
  bool malformed = false;  // its framing is broken
  bool whole = false;      // the body's end has come

  std::string header(std::string_view name) const {
    http::ResponseHeadParser parser;
    if (!parser.feed(head)) return "";
    return std::string(http::find(parser.head().headers, name).value_or(""));
  }
  bool has(std::string_view text) const { return body.find(text) != std::string::npos; }
};

inline TestAnswer parse_answer(std::string_view input, std::size_t& used) {
  TestAnswer got;
  http::ResponseHeadParser parser;
  const auto progress = parser.feed(input);
  if (!progress || progress->state != http::HeadState::kDone) return got;
  got.status = parser.head().status;
  got.head = std::string(input.substr(0, progress->consumed));
  http::BodyDecoder decoder(parser.head());
  used = progress->consumed;
  while (!decoder.done() && used < input.size()) {
    const auto piece = decoder.decode(input.substr(used));
    if (piece.state == http::BodyState::kError) {
      got.malformed = true;
      return got;
    }
    got.body += piece.payload;
    used += piece.consumed;
  }
  got.whole = decoder.done();
  return got;
}

}  // namespace infermesh::data
