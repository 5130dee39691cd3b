// Real engine answers (test/fixtures/engines) through the response parser, the body decoder and the
// event splitter.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "base/text.h"
#include "wire/http/body.h"
#include "wire/http/head.h"
#include "wire/http/sse.h"

namespace infermesh::http {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<fs::path> captures() {
  std::vector<fs::path> paths;
  const fs::path root = fs::path(INFERMESH_SOURCE_DIR) / "test/fixtures/engines";
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    // A capture that was cut by hand has neither its own line ends nor its own length.
    const bool cut = entry.path().stem().extension() == ".truncated";
    if (entry.path().extension() == ".http" && !cut) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::string describe(const ResponseHead& head) {
  std::ostringstream out;
  out << head.status << '|' << head.reason << '|' << static_cast<int>(head.framing) << '|'
      << head.content_length.value_or(0) << '|' << head.keep_alive << '\n';
  for (const Header& header : head.headers) out << header.name << '=' << header.value << '\n';
  return out.str();
}

TEST(Captures, EveryHeadParsesWholeAndByteByByteAlike) {
  const auto paths = captures();
  EXPECT_GT(paths.size(), 100U);
  for (const fs::path& path : paths) {
    const std::string bytes = read_file(path);
    ResponseHeadParser whole, bytewise;
    const auto progress = whole.feed(bytes);
    ASSERT_TRUE(progress) << path << progress.error().detail;
    ASSERT_EQ(progress->state, HeadState::kDone) << path;
    const std::string head = bytes.substr(0, progress->consumed);
    for (std::size_t size = 1; size < head.size(); ++size) {
      const std::string prefix = head.substr(0, size);
      const auto step = bytewise.feed(prefix);
      ASSERT_TRUE(step) << path << step.error().detail;
      ASSERT_EQ(step->state, HeadState::kNeedMore) << path << size;
    }
    ASSERT_EQ(bytewise.feed(head)->consumed, progress->consumed);
    EXPECT_EQ(describe(whole.head()), describe(bytewise.head()));
  }
}

TEST(Captures, BodiesHaveTheLengthTheirHeadsSay) {
  for (const fs::path& path : captures()) {
    const std::string bytes = read_file(path);
    ResponseHeadParser parser;
    const auto progress = parser.feed(bytes);
    ASSERT_TRUE(progress);
    // curl has taken the chunk framing off all captures but the raw ones.
    const std::string name = path.filename().string();
    const bool raw = name.find("-raw") != std::string::npos;
    if (parser.head().framing == BodyFraming::kChunked && !raw) continue;
    BodyDecoder decoder(parser.head());
    std::string_view rest = std::string_view(bytes).substr(progress->consumed);
    while (!rest.empty() && decoder.state() == BodyState::kNeedMore) {
      rest.remove_prefix(decoder.decode(rest).consumed);
    }
    EXPECT_EQ(decoder.finish_on_eof(), BodyEof::kClean) << path << decoder.error().detail;
    EXPECT_TRUE(rest.empty()) << path;
  }
}

// The payload of a raw capture, its bytes fed in pieces of `step`.
std::string payload_of(std::string_view body, BodyDecoder decoder, std::size_t step) {
  std::string payload;
  for (std::size_t at = 0; at < body.size() && !decoder.done();) {
    const auto piece = decoder.decode(body.substr(at, step));
    EXPECT_NE(piece.state, BodyState::kError) << decoder.error().detail;
    if (piece.state == BodyState::kError) break;
    payload += piece.payload;
    at += piece.consumed;
  }
  EXPECT_TRUE(decoder.done());
  return payload;
}

std::vector<std::string> events_of(std::string_view stream, std::size_t cut) {
  SseSplitter splitter;
  std::vector<std::string> events;
  for (const auto piece : {stream.substr(0, cut), stream.substr(cut)}) {
    splitter.push(piece);
    for (auto event = splitter.next(); event && *event; event = splitter.next()) {
      events.emplace_back((*event)->data);
      EXPECT_FALSE((*event)->has_id_or_retry);
    }
  }
  EXPECT_FALSE(splitter.has_partial());
  return events;
}

TEST(Captures, RawStreamsGiveTheSameEventsCutAnywhere) {
  int streams = 0;
  for (const fs::path& path : captures()) {
    if (path.filename() != "chat-stream-chunked-raw.http") continue;
    ++streams;
    const std::string bytes = read_file(path);
    ResponseHeadParser parser;
    const auto progress = parser.feed(bytes);
    ASSERT_TRUE(progress);
    const std::string_view body = std::string_view(bytes).substr(progress->consumed);
    const std::string payload = payload_of(body, BodyDecoder(parser.head()), body.size());
    for (std::size_t step = 1; step < 40; ++step) {
      EXPECT_EQ(payload_of(body, BodyDecoder(parser.head()), step), payload);
    }
    const auto events = events_of(payload, 0);
    ASSERT_GT(events.size(), 2U);
    EXPECT_EQ(events.back(), "[DONE]");
    for (std::size_t cut = 1; cut < payload.size(); ++cut) {
      ASSERT_EQ(events_of(payload, cut), events) << path << cut;
    }
  }
  EXPECT_EQ(streams, 3);
}

TEST(Captures, StreamsEndWithTheirTerminalEvent) {
  int streams = 0;
  for (const fs::path& path : captures()) {
    const std::string bytes = read_file(path);
    ResponseHeadParser parser;
    const auto progress = parser.feed(bytes);
    ASSERT_TRUE(progress);
    const auto type = find(parser.head().headers, "content-type").value_or("");
    if (!type.starts_with("text/event-stream") || path.string().find("-raw") != std::string::npos) {
      continue;
    }
    ++streams;
    const auto events = events_of(std::string_view(bytes).substr(progress->consumed), 100);
    EXPECT_EQ(events.back(), "[DONE]") << path;
  }
  EXPECT_GE(streams, 8);
}

}  // namespace
}  // namespace infermesh::http
