#include "wire/json/text.h"

#include <gtest/gtest.h>

#include "wire/json/members.h"
#include "wire/json/write.h"

namespace infermesh::json {
namespace {

TEST(Unescape, ReadsEveryEscape) {
  EXPECT_EQ(unescape(R"(a\"\\\/\b\f\n\r\tz)"), "a\"\\/\b\f\n\r\tz");
  EXPECT_EQ(unescape(R"(\u0066oo \u00e9 \u20ac \ud83d\ude00)"), "foo é € 😀");
  EXPECT_EQ(unescape("plain é"), "plain é");
}

TEST(Unescape, ReplacesLoneSurrogates) {
  EXPECT_EQ(unescape(R"(a\ud83dz)"), "a\xef\xbf\xbdz");
  EXPECT_EQ(unescape(R"(\ude00)"), "\xef\xbf\xbd");
  EXPECT_EQ(unescape(R"(\ud83d\u0041)"),
            "\xef\xbf\xbd"
            "A");
}

TEST(Unescape, CutsAtACharacterWithinTheLimit) {
  EXPECT_EQ(unescape("abcdef", 3), "abc");
  EXPECT_EQ(unescape("ab€", 4), "ab");
  EXPECT_EQ(unescape(R"(ab\u20ac)", 5), "ab€");
}

TEST(Unescape, ABrokenEscapeEndsTheText) {
  EXPECT_EQ(unescape("ab\\"), "ab");
  EXPECT_EQ(unescape("ab\\u12"), "ab");
}

TEST(AppendString, EscapesAndMendsUtf8) {
  EXPECT_EQ(quoted("a\"b\\c\n\r\t\x01"), R"("a\"b\\c\n\r\t\u0001")");
  EXPECT_EQ(quoted("é😀"), "\"é😀\"");
  EXPECT_EQ(quoted("a\xff"
                   "b\xc3"),
            "\"a\xef\xbf\xbd"
            "b\xef\xbf\xbd\"");
  EXPECT_EQ(quoted("\xc0\x80\xed\xa0\x80"),
            "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST(AppendString, IsReadBackByUnescape) {
  std::string all;
  for (int c = 0; c < 128; ++c) all.push_back(static_cast<char>(c));
  const std::string text = json::quoted(all);
  EXPECT_EQ(unescape(std::string_view(text).substr(1, text.size() - 2)), all);
}

TEST(AppendKey, PutsCommasWhereTheyBelong) {
  std::string out = "{";
  append_key(out, "a");
  append_number(out, -5);
  append_key(out, "b");
  append_string_or_null(out, "");
  append_key(out, "c");
  append_string_or_null(out, "{");
  append_key(out, "d");
  append_string(out, "x");
  EXPECT_EQ(out + "}", R"({"a":-5,"b":null,"c":"{","d":"x"})");
}

TEST(Members, GivesScalarsByPath) {
  const auto members = read_members(
      R"({"error":{"message":"a\nb","code":400,"x":{"y":{"z":1}}},"l":[{"m":"1"},{"m":"2"}],)"
      R"("n":null,"error":{"message":"later"}})");
  ASSERT_TRUE(members.has_value());
  EXPECT_EQ(find_member(*members, "error.message")->text(), "later");
  EXPECT_EQ(find_member(*members, "error.code")->raw, "400");
  EXPECT_EQ(find_member(*members, "l.m")->text(), "2");
  EXPECT_EQ(find_member(*members, "n")->kind, TokenKind::kNull);
  EXPECT_EQ(find_member(*members, "error.x.y.z")->raw, "1");
  EXPECT_EQ(find_member(*members, "error"), nullptr);
  EXPECT_EQ((*members)[0].text(), "a\nb");
}

TEST(Members, NeedsOneWholeObject) {
  EXPECT_FALSE(read_members("[1]").has_value());
  EXPECT_FALSE(read_members("\"x\"").has_value());
  EXPECT_FALSE(read_members("{\"a\":1").has_value());
  EXPECT_FALSE(read_members("").has_value());
  EXPECT_TRUE(read_members("{}").has_value());
}

TEST(Members, LeavesOutWhatIsDeepOrMany) {
  std::string text = R"({"a":{"b":{"c":{"d":{"e":1}}}})";
  for (int i = 0; i < 100; ++i) text += ",\"k" + std::to_string(i) + "\":1";
  const auto members = read_members(text + "}");
  ASSERT_TRUE(members.has_value());
  EXPECT_EQ(members->size(), kMembersMax);
  EXPECT_EQ((*members)[0].path, "k0");
}

}  // namespace
}  // namespace infermesh::json
