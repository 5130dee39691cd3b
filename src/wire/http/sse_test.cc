#include "wire/http/sse.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

namespace infermesh::http {
namespace {

struct Copied {
  std::string raw, event, data;
  bool has_data, is_comment_only, has_id_or_retry;
  bool operator==(const Copied&) const = default;
};

void PrintTo(const Copied& copied, std::ostream* out) {
  *out << testing::PrintToString(copied.raw) << " data " << testing::PrintToString(copied.data);
}

void take(SseSplitter& splitter, std::vector<Copied>& events) {
  while (true) {
    const auto event = splitter.next();
    ASSERT_TRUE(event) << event.error().detail;
    if (!*event) return;
    const SseEvent& e = **event;
    events.push_back({std::string(e.raw), std::string(e.event), std::string(e.data), e.has_data,
                      e.is_comment_only, e.has_id_or_retry});
  }
}

// Pushes the pieces one after the other; each piece is a buffer of its own that is gone afterwards.
std::vector<Copied> split(const std::vector<std::string>& pieces, bool* partial = nullptr) {
  SseSplitter splitter;
  std::vector<Copied> events;
  for (const std::string& piece : pieces) {
    const std::string buffer = piece;
    splitter.push(buffer);
    take(splitter, events);
  }
  if (partial != nullptr) *partial = splitter.has_partial();
  return events;
}

std::vector<std::string> bytewise(std::string_view text) {
  std::vector<std::string> pieces;
  for (char c : text) pieces.emplace_back(1, c);
  return pieces;
}

// What every stream of these tests must hold: cut anywhere, the same events come out.
std::vector<Copied> split_every_way(const std::string& text) {
  bool partial = false;
  const auto whole = split({text}, &partial);
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    bool partial_too = false;
    EXPECT_EQ(split({text.substr(0, cut), text.substr(cut)}, &partial_too), whole) << cut;
    EXPECT_EQ(partial_too, partial) << cut;
  }
  EXPECT_EQ(split(bytewise(text)), whole);
  return whole;
}

TEST(SseSplitter, GivesEachEventWithItsBytes) {
  const auto events = split_every_way("data: {\"a\":1}\n\nevent: done\ndata:x\n\ndata: [DONE]\n\n");
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[0].raw, "data: {\"a\":1}\n\n");
  EXPECT_EQ(events[0].data, "{\"a\":1}");
  EXPECT_EQ(events[0].event, "");
  EXPECT_EQ(events[1].event, "done");
  EXPECT_EQ(events[1].data, "x");
  EXPECT_EQ(events[2].data, "[DONE]");
}

TEST(SseSplitter, TakesEveryLineEnd) {
  for (const std::string end : {"\n", "\r\n", "\r"}) {
    const auto events = split_every_way("event: a" + end + "data: 1" + end + end + "data: 2" + end +
                                        end + "data: 3" + end + end);
    ASSERT_EQ(events.size(), 3U);
    EXPECT_EQ(events[0].raw, "event: a" + end + "data: 1" + end + end);
    EXPECT_EQ(events[0].event, "a");
    EXPECT_EQ(events[2].data, "3");
  }
}

TEST(SseSplitter, TakesMixedLineEndsTheSameWayHoweverCut) {
  EXPECT_EQ(split_every_way("data: 1\n\r\ndata: 2\r\n\ndata: 3\r\r\ndata: 4\n\r").size(), 3U);
  EXPECT_EQ(split_every_way("data: 1\r\n\rdata: 2\n\n").size(), 2U);
  EXPECT_EQ(split_every_way("\r\n\r\n\r\rdata: 2\r\r\n\n\rdata: 3\n\n").size(), 2U);
}

TEST(SseSplitter, CrOnlyStreamsAreNotHeldBack) {
  EXPECT_EQ(split({"data: 1\r\r"}).size(), 1U);
  EXPECT_EQ(split({"data: 1\n\n"}).size(), 1U);
  EXPECT_EQ(split({"data: 1\r\n\r\n"}).size(), 1U);
}

TEST(SseSplitter, JoinsSeveralDataLines) {
  const auto events = split_every_way("data: a\ndata\ndata:  b\n\n");
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].data, "a\n\n b");
}

TEST(SseSplitter, CommentsAreToldFromEvents) {
  const auto events = split_every_way(": ping\n\n:\n: more\n\n: with\ndata: 1\n\nevent: x\n\n");
  ASSERT_EQ(events.size(), 4U);
  EXPECT_TRUE(events[0].is_comment_only);
  EXPECT_TRUE(events[1].is_comment_only);
  EXPECT_FALSE(events[2].is_comment_only);
  EXPECT_EQ(events[2].data, "1");
  EXPECT_FALSE(events[3].is_comment_only);
  EXPECT_FALSE(events[3].has_data);
}

TEST(SseSplitter, NoticesIdAndRetryAndTakesThemOut) {
  const auto events = split_every_way(
      "id: 7\ndata: 1\n\nretry: 10\r\n\r\nid\rdata: 3\rretry:5\r\rdata: id: 4\nidle: x\n\n");
  ASSERT_EQ(events.size(), 4U);
  std::vector<std::string> kept;
  for (const Copied& event : events) {
    std::string out = "before ";
    append_without_id_and_retry(out, event.raw);
    kept.push_back(out);
  }
  EXPECT_TRUE(events[0].has_id_or_retry);
  EXPECT_EQ(kept[0], "before data: 1\n\n");
  EXPECT_TRUE(events[1].has_id_or_retry);
  EXPECT_EQ(kept[1], "before ");
  EXPECT_TRUE(events[2].has_id_or_retry);
  EXPECT_EQ(kept[2], "before data: 3\r\r");
  EXPECT_FALSE(events[3].has_id_or_retry);
  EXPECT_EQ(kept[3], "before data: id: 4\nidle: x\n\n");
}

TEST(SseSplitter, DropsALeadingByteOrderMark) {
  const std::string mark = "\xef\xbb\xbf";
  auto events = split_every_way(mark + "data: 1\n\ndata: " + mark + "\n\n");
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].raw, "data: 1\n\n");
  EXPECT_EQ(events[0].data, "1");
  EXPECT_EQ(events[1].data, mark);
  EXPECT_FALSE(split_every_way("\n" + mark + "data: 1\n\n")[0].has_data);
  events = split_every_way(mark + "\n\ndata: 1\n\n");
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].raw, "data: 1\n\n");
}

TEST(SseSplitter, KnowsAPartialEvent) {
  bool partial = false;
  split({"data: 1\n\n"}, &partial);
  EXPECT_FALSE(partial);
  split({"data: 1\n\n\n\n"}, &partial);
  EXPECT_FALSE(partial);
  for (const char* text : {"d", "data: 1\n\nda", "data: 1\n", "data: 1\r\n\r", ": ping"}) {
    split({text}, &partial);
    EXPECT_TRUE(partial) << text;
  }
}

TEST(SseSplitter, WholeEventsAreViewsIntoThePush) {
  const std::string bytes = "data: " + std::string(100, 'a') + "\n\ndata: b\n\n";
  SseSplitter splitter;
  splitter.push(bytes);
  const auto event = splitter.next();
  ASSERT_TRUE(event && *event);
  EXPECT_EQ((*event)->raw.data(), bytes.data());
  EXPECT_EQ((*event)->data.data(), bytes.data() + 6);
}

TEST(SseSplitter, HoldsNoMemoryBetweenEvents) {
  SseSplitter splitter;
  std::vector<Copied> events;
  const std::string bytes = "data: " + std::string(1000, 'a') + "\ndata: b\n\n";
  splitter.push(std::string_view(bytes).substr(0, 500));
  take(splitter, events);
  EXPECT_GE(splitter.held_bytes(), 500U);
  splitter.push(std::string_view(bytes).substr(500));
  take(splitter, events);
  EXPECT_EQ(events.size(), 1U);
  EXPECT_EQ(splitter.held_bytes(), 0U);
  // A short tail does not keep the memory of a long one.
  const std::string more = bytes + "data";
  splitter.push(std::string_view(more).substr(0, 900));
  take(splitter, events);
  splitter.push(std::string_view(more).substr(900));
  take(splitter, events);
  EXPECT_TRUE(splitter.has_partial());
  EXPECT_LT(splitter.held_bytes(), 100U);
}

TEST(SseSplitter, AnEventOverTheLimitIsRefused) {
  const std::string fits = "data: 12345678\n\n";
  for (const std::size_t step : {std::size_t{1}, fits.size()}) {
    SseSplitter exact(fits.size()), under(fits.size() - 1);
    bool refused = false;
    for (std::size_t at = 0; at < fits.size(); at += step) {
      exact.push(std::string_view(fits).substr(at, step));
      EXPECT_TRUE(exact.next());
      if (refused) continue;
      under.push(std::string_view(fits).substr(at, step));
      const auto event = under.next();
      refused = !event;
      if (refused) {
        EXPECT_EQ(event.error().code, ErrorCode::kUpstreamBadResponse);
      }
    }
    EXPECT_TRUE(refused);
  }
}

}  // namespace
}  // namespace infermesh::http
