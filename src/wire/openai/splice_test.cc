#include "wire/openai/splice.h"

#include <gtest/gtest.h>

#include "wire/openai/facts.h"

namespace infermesh::openai {
namespace {

struct Spliced {
  std::string text;
  bool usage_asked = false;
};

std::string join(const std::vector<std::string_view>& pieces) {
  std::string text;
  for (const std::string_view piece : pieces) text += piece;
  return text;
}

// Relays while the body arrives, cut at these places.
Spliced splice_live(std::string_view body, const SplicePlan& plan, std::vector<std::size_t> cuts) {
  FactsReader reader(Api::kChat, {});
  BodySplicer splicer(reader, plan);
  Spliced spliced;
  cuts.push_back(body.size());
  std::size_t at = 0;
  for (const std::size_t cut : cuts) {
    const std::string piece(
        body.substr(at, cut - at));  // its own memory: dangling views show in asan
    at = cut;
    EXPECT_TRUE(reader.feed(piece));
    std::vector<std::string_view> out;
    splicer.push(piece, out);
    spliced.text += join(out);
  }
  EXPECT_TRUE(reader.finish());
  spliced.usage_asked = splicer.usage_asked();
  return spliced;
}

// Relays after the whole body has been read.
Spliced splice_whole(std::string_view body, const SplicePlan& plan) {
  FactsReader reader(Api::kChat, {});
  EXPECT_TRUE(reader.feed(body));
  EXPECT_TRUE(reader.finish());
  BodySplicer splicer(reader, plan);
  const auto change = splicer.length_change();
  std::vector<std::string_view> out;
  splicer.push(body, out);
  const std::string text = join(out);
  EXPECT_EQ(static_cast<std::int64_t>(text.size()),
            static_cast<std::int64_t>(body.size()) + change.value_or(-1'000'000));
  return {text, splicer.usage_asked()};
}

// Whole, cut in two at every place, and byte by byte.
void expect_splice(std::string_view body, const SplicePlan& plan, std::string_view expected) {
  EXPECT_EQ(splice_whole(body, plan).text, expected);
  for (std::size_t cut = 0; cut <= body.size(); ++cut) {
    EXPECT_EQ(splice_live(body, plan, {cut}).text, expected) << "cut at " << cut;
  }
  std::vector<std::size_t> every;
  for (std::size_t cut = 1; cut < body.size(); ++cut) every.push_back(cut);
  EXPECT_EQ(splice_live(body, plan, every).text, expected);
}

const SplicePlan kUsage{.model = {}, .usage = true};

TEST(Splice, NothingChangesWithoutAPlan) {
  const std::string body = R"( {"model" : "m","stream":true , "x":[1,2.50e1,null]} )";
  expect_splice(body, {}, body);
}

TEST(Splice, RenamesTheModelAndLeavesTheRestByteForByte) {
  expect_splice(R"({ "model" : "al\u0069as" ,"x": {"model":"inner"}, "temperature":0.70})",
                {.model = "served/\"name\"", .usage = false},
                R"({ "model" : "served/\"name\"" ,"x": {"model":"inner"}, "temperature":0.70})");
}

TEST(Splice, RenamesEveryDuplicateOfTheModel) {
  expect_splice(R"({"model":"a","messages":[],"model":"a"})", {.model = "b", .usage = false},
                R"({"model":"b","messages":[],"model":"b"})");
}

TEST(Splice, AddsStreamOptionsBeforeTheClosingBrace) {
  expect_splice(
      R"({"stream":true,"model":"m","messages":[]} )", kUsage,
      R"({"stream":true,"model":"m","messages":[],"stream_options":{"include_usage":true}} )");
}

TEST(Splice, AsksForNothingWhenTheBodyDoesNotStream) {
  for (const std::string_view body :
       {R"({"model":"m"})", R"({"model":"m","stream":false})", R"({"model":"m","stream":null})",
        R"({"stream":false,"stream_options":null})", R"({})"}) {
    expect_splice(body, kUsage, body);
  }
}

TEST(Splice, ReplacesNullStreamOptions) {
  expect_splice(R"({"stream":true,"stream_options":null,"model":"m"})", kUsage,
                R"({"stream":true,"stream_options":{"include_usage":true},"model":"m"})");
}

TEST(Splice, KeepsTheOtherMembersOfStreamOptions) {
  expect_splice(
      R"({"stream":true,"stream_options":{"include_obfuscation":false},"model":"m"})", kUsage,
      R"({"stream":true,"stream_options":{"include_obfuscation":false,"include_usage":true},"model":"m"})");
  expect_splice(R"({"stream":true,"stream_options":{ },"model":"m"})", kUsage,
                R"({"stream":true,"stream_options":{ "include_usage":true},"model":"m"})");
}

TEST(Splice, TurnsIncludeUsageOn) {
  expect_splice(R"({"stream":true,"stream_options":{"include_usage":false,"a":1}})", kUsage,
                R"({"stream":true,"stream_options":{"include_usage":true,"a":1}})");
  expect_splice(R"({"stream":true,"stream_options":{"include_usage":null}})", kUsage,
                R"({"stream":true,"stream_options":{"include_usage":true}})");
}

TEST(Splice, LeavesIncludeUsageAloneWhenItIsOn) {
  const std::string body = R"({"stream":true,"stream_options":{"include_usage":true}})";
  expect_splice(body, kUsage, body);
  EXPECT_FALSE(splice_whole(body, kUsage).usage_asked);
}

TEST(Splice, RenameAndUsageTogether) {
  expect_splice(
      R"({"messages":[{"role":"user","content":"hi"}],"model":"alias","stream":true})",
      {.model = "m", .usage = true},
      R"({"messages":[{"role":"user","content":"hi"}],"model":"m","stream":true,"stream_options":{"include_usage":true}})");
}

TEST(Splice, OptionsBeforeStreamAreEditedOnlyWhenNotRelayedYet) {
  const std::string body = R"({"stream_options":null,"model":"m","stream":true})";
  const Spliced whole = splice_whole(body, kUsage);
  EXPECT_EQ(whole.text, R"({"stream_options":{"include_usage":true},"model":"m","stream":true})");
  EXPECT_TRUE(whole.usage_asked);
  const Spliced live = splice_live(body, kUsage, {30});
  EXPECT_EQ(live.text, body);
  EXPECT_FALSE(live.usage_asked);
}

TEST(Splice, LengthIsOpenUntilTheBodyIsComplete) {
  FactsReader reader(Api::kChat, {});
  BodySplicer renaming(reader, {.model = "longer", .usage = false});
  BodySplicer plain(reader, {});
  ASSERT_TRUE(reader.feed(R"({"model":"m",)"));
  EXPECT_FALSE(renaming.length_change().has_value());
  EXPECT_EQ(plain.length_change(), 0);
  ASSERT_TRUE(reader.feed(R"("n":1})"));
  EXPECT_EQ(renaming.length_change(), 5);
}

TEST(Splice, DecidedEarlyTheHeldBytesComeFirst) {
  FactsReader reader(Api::kChat, {});
  const std::string first = R"({"model":"alias","messages":[{"role":"user","content":"a long)";
  const std::string second = R"( text"}],"stream":true})";
  ASSERT_TRUE(reader.feed(first));
  ASSERT_TRUE(reader.model_known());
  BodySplicer splicer(reader, {.model = "m", .usage = true});
  std::vector<std::string_view> out;
  splicer.push(first, out);
  std::string sent = join(out);
  EXPECT_EQ(sent, R"({"model":"m","messages":[{"role":"user","content":"a long)");
  ASSERT_TRUE(reader.feed(second));
  out.clear();
  splicer.push(second, out);
  sent += join(out);
  EXPECT_TRUE(sent.ends_with(R"("stream":true,"stream_options":{"include_usage":true}})")) << sent;
}

}  // namespace
}  // namespace infermesh::openai
