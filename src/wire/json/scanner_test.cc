#include "wire/json/scanner.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/rng.h"
#include "wire/json/scanner_run.h"

namespace infermesh::json {
namespace {

struct Event {
  TokenKind kind;
  std::uint32_t depth;
  std::string text;
  std::uint64_t begin;
  std::uint64_t end;
  bool operator==(const Event&) const = default;
};

struct Scan {
  std::vector<Event> events;  // pieces joined
  bool whole = false;
  std::string error;
};

// Feeds the text in pieces of `size` bytes, each in memory of its own.
Scan scan(std::string_view text, std::size_t size = SIZE_MAX) {
  Scan result;
  Scanner scanner;
  while (true) {
    const std::string piece(text.substr(0, size));
    text.remove_prefix(piece.size());
    scanner.feed(piece);
    for (Token token = scanner.next(); token.kind != TokenKind::kMore; token = scanner.next()) {
      if (token.kind == TokenKind::kError) {
        result.error = scanner.error_text();
        return result;
      }
      if (token.first) {
        result.events.push_back({token.kind, token.depth, "", token.begin, 0});
      }
      result.events.back().text += token.text;
      result.events.back().end = token.end;
    }
    if (text.empty()) break;
  }
  result.whole = scanner.finish();
  if (!result.whole) result.error = scanner.error_text();
  return result;
}

struct Collect {
  Scan& into;

  template <TokenKind kind>
  bool take(const Token& token) {
    EXPECT_EQ(token.kind, kind);
    EXPECT_FALSE(token.plain && (!token.first || !token.last || token.text.contains('\\')));
    if (token.first) into.events.push_back({token.kind, token.depth, "", token.begin, 0});
    into.events.back().text += token.text;
    into.events.back().end = token.end;
    return true;
  }
};

// The same through run().
Scan run(std::string_view text, std::size_t size = SIZE_MAX) {
  Scan result;
  Scanner scanner;
  Collect sink{result};
  while (true) {
    const std::string piece(text.substr(0, size));
    text.remove_prefix(piece.size());
    scanner.feed(piece);
    if (scanner.run(sink) == TokenKind::kError) {
      result.error = scanner.error_text();
      return result;
    }
    if (text.empty()) break;
  }
  result.whole = scanner.finish();
  if (!result.whole) result.error = scanner.error_text();
  return result;
}

TEST(Scanner, GivesTokensWithDepthAndOffsets) {
  const Scan result = scan(R"( {"a": [1, "b\n"], "c":true} )");
  ASSERT_TRUE(result.whole);
  const std::vector<Event> expected{
      {TokenKind::kBeginObject, 0, "{", 1, 2}, {TokenKind::kKey, 1, "a", 2, 5},
      {TokenKind::kBeginArray, 1, "[", 7, 8},  {TokenKind::kNumber, 2, "1", 8, 9},
      {TokenKind::kString, 2, "b\\n", 11, 16}, {TokenKind::kEndArray, 1, "]", 16, 17},
      {TokenKind::kKey, 1, "c", 19, 22},       {TokenKind::kTrue, 1, "true", 23, 27},
      {TokenKind::kEndObject, 0, "}", 27, 28}};
  EXPECT_EQ(result.events, expected);
}

TEST(Scanner, PiecesOfAnySizeGiveTheSameTokens) {
  const std::string text =
      R"({"key \" with":["é\u00e9\ud83d\ude00",-0.5e-10,0,12345678901234567890,{},[],null,false,)"
      R"("a string that is longer than thirty-two bytes \\ and has escapes \/ \b\f\n\r\t in it"]})";
  const Scan whole = scan(text);
  ASSERT_TRUE(whole.whole) << whole.error;
  EXPECT_EQ(run(text).events, whole.events);
  for (std::size_t size = 1; size < text.size(); ++size) {
    const Scan pieces = scan(text, size);
    EXPECT_EQ(pieces.events, whole.events) << "pieces of " << size;
    EXPECT_TRUE(pieces.whole);
    EXPECT_EQ(run(text, size).events, whole.events) << "pieces of " << size;
  }
}

TEST(Scanner, TakesEveryKindOfWholeValue) {
  for (const std::string_view text : {"1", "-0", "0.5", "1e5", "1E+5", "1.25e-3", "true", "false",
                                      "null", "\"\"", "[]", "{}", " [ ] ", "[[[]]]", "\"\x7f\""}) {
    EXPECT_TRUE(scan(text).whole) << text;
    EXPECT_TRUE(scan(text, 1).whole) << text;
    EXPECT_TRUE(run(text).whole) << text;
  }
}

TEST(Scanner, RefusesWhatIsNotJson) {
  const std::vector<std::pair<std::string_view, std::string_view>> cases{
      {"", "there are no bytes at byte 0"},
      {"  ", "the bytes end too early at byte 2"},
      {"{", "the bytes end too early at byte 1"},
      {"{\"a", "the bytes end inside a string at byte 3"},
      {"{\"a\"}", "expected ':' after the key at byte 4"},
      {"{\"a\":}", "expected a value at byte 5"},
      {"{\"a\":1,}", "expected a key in quotes at byte 7"},
      {"{a:1}", "expected a key in quotes at byte 1"},
      {"[1 2]", "expected ',' or ']' at byte 3"},
      {"{\"a\":1]", "expected ',' or '}' at byte 6"},
      {"[1,]", "expected a value at byte 3"},
      {"[1}", "expected ',' or ']' at byte 2"},
      {"]", "expected a value at byte 0"},
      {"{} x", "unexpected bytes after the end of the value at byte 3"},
      {"01", "unexpected bytes after the end of the value at byte 1"},
      {"[-]", "malformed number at byte 2"},
      {"[1.]", "malformed number at byte 3"},
      {"[1e]", "malformed number at byte 3"},
      {"[.5]", "expected a value at byte 1"},
      {"[+1]", "expected a value at byte 1"},
      {"-", "the bytes end too early at byte 1"},
      {"[truth]", "expected a value at byte 4"},
      {"nul", "the bytes end too early at byte 3"},
      {"[NaN]", "expected a value at byte 1"},
      {"\"a\nb\"", "control character in a string at byte 2"},
      {"\"\\x\"", "invalid escape in a string at byte 2"},
      {"\"\\u12g4\"", "invalid \\u escape in a string at byte 5"},
      {"'a'", "expected a value at byte 0"},
      {"\xef\xbb\xbf{}", "expected a value at byte 0"}};
  for (const auto& [text, error] : cases) {
    EXPECT_EQ(scan(text).error, error) << text;
    EXPECT_EQ(scan(text, 1).error, error) << text;
    EXPECT_EQ(run(text).error, error) << text;
    EXPECT_EQ(run(text, 1).error, error) << text;
  }
}

TEST(Scanner, ChangedDocumentsAreReadAlikeByRun) {
  constexpr std::string_view kText =
      R"({"a":[1,-20,0.5,"b\n",{"c":"d","e":null}],"long key of some length":true, "f" : [ ] ,"g":{}})";
  constexpr std::string_view kBytes = "\",:[]{}\\ 0-1.eEtfn\n";
  Rng rng(20240612);
  for (int round = 0; round < 20'000; ++round) {
    std::string text(kText);
    for (int times = 0; times < 2; ++times) {
      text[rng.below(text.size())] = kBytes[rng.below(kBytes.size())];
    }
    const std::size_t size = 1 + rng.below(text.size());
    const Scan expected = scan(text);
    const Scan got = run(text, size);
    ASSERT_EQ(got.error, expected.error) << text << " in pieces of " << size;
    ASSERT_EQ(got.whole, expected.whole) << text;
    if (!expected.whole) continue;
    ASSERT_EQ(got.events, expected.events) << text;
  }
}

TEST(Scanner, BoundsTheDepth) {
  const std::string deep(kDepthMax, '[');
  EXPECT_EQ(scan(deep).error, "the bytes end too early at byte 128");
  EXPECT_EQ(scan(deep + "[").error, "nested deeper than 128 levels at byte 128");
  EXPECT_TRUE(scan(deep + std::string(kDepthMax, ']')).whole);
}

TEST(Scanner, KnowsObjectsFromArraysAtEveryDepth) {
  std::string open;
  std::string close;
  for (int i = 0; i < 60; ++i) {
    open += "{\"k\":[";
    close.insert(0, "]}");
  }
  EXPECT_TRUE(scan(open + close).whole);
  std::string wrong = close;
  wrong[60] = wrong[60] == ']' ? '}' : ']';
  EXPECT_FALSE(scan(open + wrong).whole);
}

TEST(Scanner, StaysFailed) {
  Scanner scanner;
  scanner.feed("[}");
  EXPECT_EQ(scanner.next().kind, TokenKind::kBeginArray);
  EXPECT_EQ(scanner.next().kind, TokenKind::kError);
  scanner.feed("[]");
  EXPECT_EQ(scanner.next().kind, TokenKind::kError);
  EXPECT_FALSE(scanner.finish());
  EXPECT_EQ(scanner.error_text(), "expected a value at byte 1");
}

TEST(Scanner, FindsSpecialBytesAtEveryDistance) {
  for (std::size_t length = 0; length < 69; ++length) {
    for (const char special : {'"', '\\', '\x01', '\x1f'}) {
      std::string text(70, 'x');
      text[length] = special;
      text[(length + 7) % 70] = '\x7f';
      if ((length + 13) % 70 != length) text[(length + 13) % 70] = '\xff';
      const auto scanned = scan("\"" + text + "\"");
      EXPECT_FALSE(scanned.whole && special != '"') << length;
      ASSERT_FALSE(scanned.error.empty()) << length;
      const std::uint64_t at = length + 1;
      const std::string wanted = special == '\\' || special == '"'
                                     ? " at byte " + std::to_string(at + 1)
                                     : " at byte " + std::to_string(at);
      EXPECT_TRUE(scanned.error.ends_with(wanted)) << scanned.error << " for " << length;
    }
  }
}

TEST(Scanner, SettledOffsetStopsBeforeAnUnfinishedLiteral) {
  Scanner scanner;
  scanner.feed("[fal");
  EXPECT_EQ(scanner.next().kind, TokenKind::kBeginArray);
  EXPECT_EQ(scanner.next().kind, TokenKind::kMore);
  EXPECT_EQ(scanner.offset(), 4U);
  EXPECT_EQ(scanner.settled_offset(), 1U);
  scanner.feed("se");
  EXPECT_EQ(scanner.next().kind, TokenKind::kFalse);
  EXPECT_EQ(scanner.settled_offset(), 6U);
}

}  // namespace
}  // namespace infermesh::json
