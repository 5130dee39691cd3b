#include "wire/http/write.h"

#include <gtest/gtest.h>

#include "wire/http/body.h"
#include "wire/http/head.h"

namespace infermesh::http {
namespace {

TEST(Write, ARequestReadsBackAsItWasMeant) {
  std::string out;
  append_request_line(out, "POST", "/v1/chat/completions");
  append_header(out, "host", "127.0.0.1:8000");
  append_content_length(out, 18446744073709551ULL);
  append_head_end(out);
  EXPECT_EQ(out,
            "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:8000\r\n"
            "content-length: 18446744073709551\r\n\r\n");
  RequestHeadParser parser;
  ASSERT_TRUE(parser.feed(out));
  EXPECT_EQ(parser.head().content_length, 18446744073709551ULL);
}

TEST(Write, AChunkedResponseReadsBackAsItWasMeant) {
  std::string out;
  append_status_line(out, 200);
  append_chunked(out);
  append_head_end(out);
  const auto head_bytes = out.size();
  append_chunk_head(out, 26);
  out += "abcdefghijklmnopqrstuvwxyz";
  out += kChunkEnd;
  append_last_chunk(out);
  ResponseHeadParser parser;
  const auto progress = parser.feed(out);
  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->consumed, head_bytes);
  BodyDecoder decoder(parser.head());
  const auto piece = decoder.decode(std::string_view(out).substr(head_bytes));
  EXPECT_EQ(piece.payload, "abcdefghijklmnopqrstuvwxyz");
  EXPECT_TRUE(decoder.done());
}

TEST(Write, StatusLineTakesTheUsualPhraseOrOneGiven) {
  std::string out;
  append_status_line(out, 503);
  append_status_line(out, 200, "Fine");
  append_status_line(out, 599);
  EXPECT_EQ(out,
            "HTTP/1.1 503 Service Unavailable\r\nHTTP/1.1 200 Fine\r\nHTTP/1.1 599 Unknown\r\n");
}

TEST(Write, ControlCharactersCannotEndALine) {
  std::string out;
  append_header(out, "x-detail", "a\r\nset-cookie: b\tc");
  EXPECT_EQ(out, "x-detail: a  set-cookie: b\tc\r\n");
  out.clear();
  append_request_line(out, "GET", "/a\nb");
  EXPECT_EQ(out, "GET /a b HTTP/1.1\r\n");
}

TEST(Write, EveryStatusOfTheErrorTableHasAPhrase) {
  for (std::size_t i = 0; i < kErrorCodes; ++i) {
    const ErrorInfo& info = error_info(static_cast<ErrorCode>(i));
    EXPECT_NE(reason_phrase(info.status), "Unknown") << info.status;
    EXPECT_NE(reason_phrase(info.anthropic_status), "Unknown") << info.anthropic_status;
  }
}

}  // namespace
}  // namespace infermesh::http
