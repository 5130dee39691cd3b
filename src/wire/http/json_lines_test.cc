#include "wire/http/json_lines.h"

#include <gtest/gtest.h>

#include <vector>

namespace infermesh::http {
namespace {

// The lines of a stream that comes in pieces of `size` bytes, and what is left.
std::vector<std::string> cut(std::string_view stream, std::size_t size, bool& partial) {
  LineSplitter splitter;
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < stream.size(); at += size) {
    const std::string piece(stream.substr(at, size));  // so that a view of an old one is caught
    splitter.push(piece);
    while (true) {
      const auto line = splitter.next();
      if (!line || !*line) break;
      lines.emplace_back((*line)->text);
      EXPECT_TRUE((*line)->raw.starts_with((*line)->text) && (*line)->raw.ends_with('\n'));
    }
  }
  partial = splitter.has_partial();
  return lines;
}

TEST(JsonLines, ComeOutWholeWhateverTheCuts) {
  const std::string_view stream = "{\"a\":1}\n\r\n  \n{\"b\":\"\xc3\xa9\"}\r\n{}\n";
  const std::vector<std::string> lines{"{\"a\":1}", "{\"b\":\"\xc3\xa9\"}", "{}"};
  for (std::size_t size = 1; size <= stream.size(); ++size) {
    bool partial = true;
    EXPECT_EQ(cut(stream, size, partial), lines) << size;
    EXPECT_FALSE(partial);
  }
}

TEST(JsonLines, ALineWithoutItsEndIsNone) {
  for (std::size_t size = 1; size <= 4; ++size) {
    bool partial = false;
    EXPECT_EQ(cut("{}\n{\"done\":true}", size, partial), std::vector<std::string>{"{}"});
    EXPECT_TRUE(partial);
  }
}

TEST(JsonLines, ALineOverTheLimitIsRefused) {
  LineSplitter splitter(8);
  splitter.push("12345678\n123456");
  EXPECT_TRUE(*splitter.next());
  EXPECT_FALSE(*splitter.next());
  splitter.push("789");
  const auto line = splitter.next();
  ASSERT_FALSE(line);
  EXPECT_EQ(line.error().code, ErrorCode::kUpstreamBadResponse);
}

}  // namespace
}  // namespace infermesh::http
