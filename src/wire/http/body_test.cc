#include "wire/http/body.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace infermesh::http {
namespace {

using testing::HasSubstr;

BodyDecoder chunked() {
  return {BodyFraming::kChunked, 0, ErrorCode::kBadRequest};
}

struct Read {
  std::string payload;
  std::size_t consumed = 0;
  BodyState state = BodyState::kNeedMore;
};

// Feeds the bytes in pieces of `step`.
Read read(BodyDecoder& decoder, std::string_view bytes, std::size_t step) {
  Read result;
  result.state = decoder.state();
  while (result.consumed < bytes.size() && result.state == BodyState::kNeedMore) {
    const auto piece = decoder.decode(bytes.substr(result.consumed, step));
    result.payload += piece.payload;
    result.consumed += piece.consumed;
    result.state = piece.state;
    if (piece.consumed == 0 && piece.state == BodyState::kNeedMore) {
      ADD_FAILURE() << "no progress at " << result.consumed;
      return result;
    }
  }
  return result;
}

TEST(BodyDecoder, LengthStopsAtTheLastByte) {
  for (const std::size_t step : {1, 3, 100}) {
    BodyDecoder decoder(BodyFraming::kLength, 5, ErrorCode::kBadRequest);
    const Read result = read(decoder, "helloGET /", step);
    EXPECT_EQ(result.payload, "hello");
    EXPECT_EQ(result.consumed, 5U);
    EXPECT_EQ(result.state, BodyState::kDone);
    EXPECT_EQ(decoder.total(), 5U);
    EXPECT_EQ(decoder.finish_on_eof(), BodyEof::kClean);
  }
}

TEST(BodyDecoder, NoBodyIsDoneAtOnce) {
  EXPECT_TRUE(BodyDecoder().done());
  EXPECT_TRUE(BodyDecoder(BodyFraming::kNone, 0, ErrorCode::kBadRequest).done());
  BodyDecoder empty(BodyFraming::kLength, 0, ErrorCode::kBadRequest);
  EXPECT_TRUE(empty.done());
  EXPECT_EQ(empty.decode("GET /").consumed, 0U);
}

TEST(BodyDecoder, LengthCutShortIsTruncated) {
  BodyDecoder decoder(BodyFraming::kLength, 5, ErrorCode::kBadRequest);
  read(decoder, "hell", 4);
  EXPECT_EQ(decoder.finish_on_eof(), BodyEof::kTruncated);
}

TEST(BodyDecoder, UntilCloseEndsCleanlyAtEof) {
  BodyDecoder decoder(BodyFraming::kUntilClose, 0, ErrorCode::kUpstreamBadResponse);
  EXPECT_EQ(read(decoder, "some bytes", 4).payload, "some bytes");
  EXPECT_FALSE(decoder.done());
  EXPECT_EQ(decoder.finish_on_eof(), BodyEof::kClean);
  EXPECT_TRUE(decoder.done());
}

TEST(BodyDecoder, ChunksComeOutWhateverTheCuts) {
  const std::string body =
      "5\r\nhello\r\n1;name=value;q=\"x y\"\r\n,\r\n0010\r\n0123456789\r\nabcd\r\n"
      "0;last\r\nX-Checksum: 1\r\nX-B: 2\r\n\r\n";
  const std::string bytes = body + "HTTP/1.1";
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    BodyDecoder decoder = chunked();
    const Read result = read(decoder, bytes, step);
    EXPECT_EQ(result.payload, "hello,0123456789\r\nabcd") << step;
    EXPECT_EQ(result.consumed, body.size()) << step;
    EXPECT_EQ(result.state, BodyState::kDone) << step;
  }
}

TEST(BodyDecoder, TheEndIsSeenWithTheLastPieceWhenItHasArrived) {
  BodyDecoder decoder = chunked();
  const auto piece = decoder.decode("5\r\nhello\r\n0\r\n\r\n");
  EXPECT_EQ(piece.payload, "hello");
  EXPECT_EQ(piece.state, BodyState::kDone);
}

TEST(BodyDecoder, EveryPrefixOfAChunkedBodyIsTruncated) {
  const std::string body = "5;a\r\nhello\r\n0\r\nX: y\r\n\r\n";
  for (std::size_t size = 0; size < body.size(); ++size) {
    BodyDecoder decoder = chunked();
    read(decoder, body.substr(0, size), body.size());
    EXPECT_EQ(decoder.finish_on_eof(), BodyEof::kTruncated) << size;
  }
}

TEST(BodyDecoder, MalformedChunksAreRefused) {
  using namespace std::string_literals;
  const std::pair<std::string, const char*> cases[] = {
      {"\r\n", "hexadecimal"},
      {"x\r\n", "hexadecimal"},
      {"0x5\r\nhello\r\n", "hexadecimal"},
      {"-5\r\n", "hexadecimal"},
      {"+5\r\n", "hexadecimal"},
      {" 5\r\n", "hexadecimal"},
      {"5 \r\nhello\r\n", "hexadecimal"},
      {"5 ;a\r\nhello\r\n", "hexadecimal"},
      {"5\nhello\r\n", "hexadecimal"},
      {"5,5\r\n", "hexadecimal"},
      {";a\r\n", "hexadecimal"},
      {"00000000000000005\r\n", "16 digits"},
      {"5\rhello", "CR that no LF"},
      {"5\r\nhello!\r\n", "longer than its size"},
      {"5\r\nhello\n0\r\n", "longer than its size"},
      {"5\r\nhello\rx", "CR that no LF"},
      {"5;a\nhello\r\n", "bare LF"},
      {"5;a\rb\r\nhello\r\n", "CR that no LF"},
      {"5;a\0b\r\n"s, "control"},
      {"5;" + std::string(257, 'e') + "\r\n", "256 bytes"},
      {"0\r\nX: y\nZ\r\n\r\n", "bare LF"},
      {"0\r\nX: y\rZ\r\n\r\n", "CR that no LF"},
      {"0\r\n\rX", "CR that no LF"},
      {"0\r\n\n", "bare LF"},
      {"0\r\nX: a\0b\r\n\r\n"s, "control"},
      {"0\r\nX: a\r\n b\r\n\r\n", "folded"},
      {"0\r\nX: " + std::string(8 * 1024, 't') + "\r\n\r\n", "8 KiB"},
  };
  for (const auto& [bytes, says] : cases) {
    for (const std::size_t step : {std::size_t{1}, bytes.size()}) {
      BodyDecoder decoder = chunked();
      const Read result = read(decoder, bytes, step);
      EXPECT_EQ(result.state, BodyState::kError) << bytes;
      EXPECT_EQ(decoder.error().code, ErrorCode::kBadRequest);
      EXPECT_THAT(decoder.error().detail, HasSubstr(says)) << bytes;
      EXPECT_EQ(decoder.finish_on_eof(), BodyEof::kTruncated);
      EXPECT_EQ(decoder.decode("0\r\n\r\n").state, BodyState::kError);
    }
  }
}

TEST(BodyDecoder, LimitsAreReachedButNotPassed) {
  BodyDecoder decoder = chunked();
  const std::string extension = "5;" + std::string(256, 'e') + "\r\nhello\r\n";
  const std::string trailer = "0\r\nX: " + std::string(8 * 1024 - 5, 't') + "\r\n\r\n";
  EXPECT_EQ(read(decoder, extension + trailer, 1000).state, BodyState::kDone);
  BodyDecoder huge = chunked();
  EXPECT_EQ(read(huge, "ffffffffffffffff\r\nabc", 100).payload, "abc");
}

TEST(BodyDecoder, ErrorsOfAResponseAreTheEnginesFault) {
  ResponseHead head;
  head.framing = BodyFraming::kChunked;
  BodyDecoder decoder(head);
  decoder.decode("zz");
  EXPECT_EQ(decoder.error().code, ErrorCode::kUpstreamBadResponse);
}

}  // namespace
}  // namespace infermesh::http
