#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "wire/http/head.h"

namespace infermesh::http {
namespace {

using testing::HasSubstr;

ResponseHead parse(std::string_view bytes, ResponseTo answers = ResponseTo::kOther) {
  ResponseHeadParser parser(answers);
  const auto progress = parser.feed(bytes);
  EXPECT_TRUE(progress) << bytes << progress.error().detail;
  EXPECT_TRUE(progress && progress->state == HeadState::kDone) << bytes;
  return parser.head();
}

TEST(ResponseHead, ReadsStatusReasonAndHeaders) {
  const auto head =
      parse("HTTP/1.1 404 Not Found\r\ncontent-length: 22\r\nX-Empty: \r\n\r\n{\"detail\"...");
  EXPECT_EQ(head.status, 404);
  EXPECT_EQ(head.reason, "Not Found");
  EXPECT_EQ(head.framing, BodyFraming::kLength);
  EXPECT_EQ(head.content_length, 22U);
  EXPECT_EQ(find(head.headers, "x-empty"), "");
  EXPECT_TRUE(head.keep_alive);
}

TEST(ResponseHead, ReasonMayBeEmptyOrMissing) {
  EXPECT_EQ(parse("HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\n").reason, "");
  EXPECT_EQ(parse("HTTP/1.1 200\r\nContent-Length: 1\r\n\r\n").status, 200);
  EXPECT_EQ(parse("HTTP/1.1 200 D\xc3\xa9j\xc3\xa0 vu\r\n\r\n").reason, "D\xc3\xa9j\xc3\xa0 vu");
}

TEST(ResponseHead, FramingFollowsStatusMethodAndHeaders) {
  using enum BodyFraming;
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").framing, kChunked);
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").framing, kNone);
  EXPECT_EQ(parse("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n").framing, kNone);
  EXPECT_EQ(parse("HTTP/1.1 204 No Content\r\n\r\n").framing, kNone);
  const auto head = parse("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", ResponseTo::kHead);
  EXPECT_EQ(head.framing, kNone);
  EXPECT_EQ(head.content_length, 9U);
  EXPECT_TRUE(head.keep_alive);
  const auto open = parse("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
  EXPECT_EQ(open.framing, kUntilClose);
  EXPECT_FALSE(open.keep_alive);
  EXPECT_EQ(parse("HTTP/1.0 200 OK\r\n\r\n").framing, kUntilClose);
}

TEST(ResponseHead, ConnectionIsNotUsedAgainWhenInDoubt) {
  EXPECT_FALSE(
      parse("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n").keep_alive);
  EXPECT_FALSE(parse("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n").keep_alive);
  EXPECT_FALSE(parse("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n").keep_alive);
  EXPECT_FALSE(parse("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n").keep_alive);
  EXPECT_TRUE(parse("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n").keep_alive);
}

TEST(ResponseHead, InterimResponsesAreSkipped) {
  const std::string bytes =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  ResponseHeadParser whole, bytewise;
  const auto progress = whole.feed(bytes);
  ASSERT_TRUE(progress);
  EXPECT_EQ(bytes.substr(progress->consumed), "ok");
  EXPECT_EQ(whole.head().status, 200);
  EXPECT_EQ(whole.head().headers.size(), 1U);
  for (std::size_t size = 1; size < progress->consumed; ++size) {
    const auto step = bytewise.feed(bytes.substr(0, size));
    ASSERT_TRUE(step);
    ASSERT_EQ(step->state, HeadState::kNeedMore);
  }
  EXPECT_EQ(bytewise.feed(bytes)->consumed, progress->consumed);
}

TEST(ResponseHead, InterimResponsesCountTowardsTheLimit) {
  std::string bytes;
  while (bytes.size() <= kHeadBytesMax) bytes += "HTTP/1.1 100 Continue\r\n\r\n";
  ResponseHeadParser parser;
  const auto refused = parser.feed(bytes);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kUpstreamBadResponse);
  EXPECT_THAT(refused.error().detail, HasSubstr("64KiB"));
}

TEST(ResponseHead, ResetStartsTheNextAnswer) {
  ResponseHeadParser parser(ResponseTo::kHead);
  const std::string first =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
  ASSERT_TRUE(parser.feed(first));
  parser.reset(ResponseTo::kOther);
  const std::string second = "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n";
  const auto progress = parser.feed(second);
  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->consumed, second.size());
  EXPECT_EQ(parser.head().status, 201);
  EXPECT_EQ(parser.head().framing, BodyFraming::kChunked);
  EXPECT_EQ(parser.head().content_length, std::nullopt);
}

TEST(ResponseHead, MalformedAnswersAreTheEnginesFault) {
  using namespace std::string_literals;
  const std::pair<std::string, const char*> cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "both"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "twice"},
      {"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "decimal"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "exactly"},
      {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0"},
      {"HTTP/1.1 200 OK\nContent-Length: 1\r\n\r\n", "bare LF"},
      {"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "folded"},
      {"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\n", "blank before the colon"},
      {"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n"s, "NUL"},
      {"HTTP/1.1 20 OK\r\n\r\n", "status"},
      {"HTTP/1.1 2000 OK\r\n\r\n", "status"},
      {"HTTP/1.1 099 OK\r\n\r\n", "status"},
      {"HTTP/1.1 600 OK\r\n\r\n", "status"},
      {"HTTP/1.1  200 OK\r\n\r\n", "status"},
      {"HTTP/2 200\r\n\r\n", "HTTP/1.1"},
      {"ICY 200 OK\r\n\r\n", "begin"},
      {"\r\nHTTP/1.1 200 OK\r\n\r\n", "begin"},
      {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "101"},
  };
  for (const auto& [bytes, says] : cases) {
    ResponseHeadParser parser;
    const auto refused = parser.feed(bytes);
    ASSERT_FALSE(refused) << bytes;
    EXPECT_EQ(refused.error().code, ErrorCode::kUpstreamBadResponse);
    EXPECT_THAT(refused.error().detail, HasSubstr(says)) << bytes;
  }
}

TEST(ResponseHead, A101IsTakenWhereItWasAskedFor) {
  ResponseHeadParser parser(ResponseTo::kUpgrade);
  const std::string_view text =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nhello";
  const auto progress = parser.feed(text);
  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->state, HeadState::kDone);
  EXPECT_EQ(text.substr(progress->consumed), "hello");
  EXPECT_EQ(parser.head().framing, BodyFraming::kNone);
  ResponseHeadParser refused(ResponseTo::kUpgrade);
  ASSERT_TRUE(refused.feed("HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\n"));
  EXPECT_EQ(refused.head().framing, BodyFraming::kLength);
}

}  // namespace
}  // namespace infermesh::http
