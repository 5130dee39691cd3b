// Tables, numbers, JSON and YAML as the command line prints them.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "cli/human.h"
#include "cli/json_read.h"
#include "cli/paint.h"
#include "cli/table.h"

namespace infermesh::cli {
namespace {

TEST(Table, AlignsByCodePointsAndLeavesNoBlanksAtLineEnds) {
  Table table({{"name"}, {"n", Align::kRight}, {"rest"}});
  table.add({{"é"}, {"1"}, {""}});
  table.add({{"longer"}, {"1,234"}, {"x"}});
  EXPECT_EQ(table.text({}),
            "name        n  rest\n"
            "é           1\n"
            "longer  1,234  x\n");
}

TEST(Table, CutsItsWidestTextColumnToThePage) {
  Table table({{"name"}, {"what"}});
  table.add({{"e1"}, {"a sentence that is far too long"}});
  EXPECT_EQ(table.text({{}, 20}),
            "name  what\n"
            "e1    a sente…o long\n");
}

TEST(Table, ColourDoesNotMoveColumns) {
  Table table({{"a"}, {"b"}});
  table.add({{"x", Tone::kGood}, {"y"}});
  Painter paint;
  paint.colour = true;
  EXPECT_EQ(table.text({paint, 0}),
            "\x1b[2ma\x1b[0m  \x1b[2mb\x1b[0m\n"
            "\x1b[32mx\x1b[0m  y\n");
}

TEST(Wrap, BreaksAtSpacesAndKeepsNumbersWithTheirUnits) {
  EXPECT_EQ(wrap("one two three", 8, 2), "one two\n  three");
  EXPECT_EQ(wrap("took 6.1 s, then", 8, 0), "took\n6.1 s,\nthen");
  EXPECT_EQ(wrap("no limit at all", 0, 0), "no limit at all");
}

TEST(Human, NumbersReadAsPeopleSayThem) {
  EXPECT_EQ(whole(8120.4), "8,120");
  EXPECT_EQ(whole(std::nullopt), "-");
  EXPECT_EQ(percent(0.584), "58 %");
  EXPECT_EQ(millis(212.0), "212 ms");
  EXPECT_EQ(millis(0.0), "0 ms");
  EXPECT_EQ(age(3000.0), "3 s");
  EXPECT_EQ(age(80.0), "80 ms");
  EXPECT_EQ(seconds_fine(5965.0), "5.96 s");
  EXPECT_EQ(millis_pair(210.0, 1400.0), "0.21 / 1.4 s");
  EXPECT_EQ(millis_pair(11.0, 19.0), "11 / 19 ms");
  EXPECT_EQ(millis_pair(11.0, std::nullopt), "-");
  EXPECT_EQ(plural(1, "engine"), "1 engine");
  EXPECT_EQ(plural(1200, "engine"), "1,200 engines");
}

TEST(Painter, FollowsTheEnvironment) {
  CliIo io;
  EXPECT_FALSE(painter_for_stdout(io).colour);
  io.out_is_terminal = true;
  EXPECT_TRUE(painter_for_stdout(io).colour);
  io.environment["TERM"] = "dumb";
  EXPECT_FALSE(painter_for_stdout(io).colour);
  EXPECT_EQ(painter_for_stdout(io).bad(), "XX");
  io.environment["TERM"] = "xterm";
  io.environment["NO_COLOR"] = "1";
  EXPECT_FALSE(painter_for_stdout(io).colour);
  io.environment["FORCE_COLOR"] = "1";
  EXPECT_FALSE(painter_for_stdout(io).colour);
  io.environment["NO_COLOR"] = "";
  io.out_is_terminal = false;
  EXPECT_TRUE(painter_for_stdout(io).colour);
  io.environment["FORCE_COLOR"] = "0";
  EXPECT_FALSE(painter_for_stdout(io).colour);
}

TEST(Json, PrintsNumbersPlainly) {
  const json::value value =
      json::parse(R"({"a":12.5,"b":[1,2.0],"c":{},"d":[],"e":"x\ny","f":null})");
  EXPECT_EQ(pretty_json(value),
            "{\n  \"a\": 12.5,\n  \"b\": [\n    1,\n    2\n  ],\n  \"c\": {},\n  \"d\": [],\n"
            "  \"e\": \"x\\ny\",\n  \"f\": null\n}\n");
  EXPECT_EQ(compact_json(value), R"({"a":12.5,"b":[1,2],"c":{},"d":[],"e":"x\ny","f":null})"
                                 "\n");
}

TEST(Yaml, QuotesWhatWouldReadAsSomethingElse) {
  const json::value value = json::parse(
      R"({"plain":"qwen3-14b","no":"no","num":"12","url":"http://h:1","empty":"","list":[{"a":1,"b":[2]},"x"],)"
      R"("none":null,"map":{},"nothing":[]})");
  EXPECT_EQ(
      yaml(value),
      "plain: qwen3-14b\n\"no\": \"no\"\nnum: \"12\"\nurl: \"http://h:1\"\nempty: \"\"\nlist:\n"
      "  - a: 1\n    b:\n      - 2\n  - x\nnone: null\nmap: {}\nnothing: []\n");
}

TEST(JsonRead, AbsentMembersReadAsNothing) {
  const json::value value = json::parse(R"({"n":"text","t":3})");
  EXPECT_EQ(text(value, "t"), "");
  EXPECT_EQ(number(value, "n"), std::nullopt);
  EXPECT_EQ(count(value, "x"), 0);
  EXPECT_FALSE(flag(value, "n"));
  EXPECT_TRUE(array(value, "n").empty());
  EXPECT_TRUE(member(json::value(7), "n").is_null());
}

}  // namespace
}  // namespace infermesh::cli
