#include "wire/openai/form_reader.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "wire/openai/facts_options.h"

namespace infermesh::openai {
namespace {

std::string part(std::string_view name, std::string_view data) {
  return fmt::format("--bb\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n{}\r\n", name,
                     data);
}

const std::string kEnd = "--bb--\r\n";

FormReader reader_of(std::string model = {}) {
  return FormReader(Api::kTranscriptions, {.boundary = "bb", .model = std::move(model)});
}

std::string spliced(std::string_view form, std::size_t piece, std::string_view model) {
  FormReader reader = reader_of();
  BodySplicer splicer(reader, {.model = std::string(model), .model_text = ModelText::kPlain});
  std::string out;
  for (std::size_t at = 0; at < form.size(); at += piece) {
    const std::string copy(form.substr(at, piece));
    EXPECT_TRUE(reader.feed(copy));
    const bool last = at + piece >= form.size();
    EXPECT_TRUE(!last || reader.finish());
    std::vector<std::string_view> pieces;
    splicer.push(copy, pieces);
    for (const std::string_view p : pieces) out += p;
  }
  return out;
}

TEST(FormReader, FindsModelAndStreamAroundAFileOfAnyCut) {
  const std::string form = part("file", "\r\n--b\0x") + part("model", "whisper-1") +
                           part("stream", "true") + part("other", "y") + kEnd;
  for (std::size_t piece = 1; piece < form.size(); ++piece) {
    FormReader reader = reader_of();
    for (std::size_t at = 0; at < form.size(); at += piece) {
      const std::string copy(form.substr(at, piece));
      ASSERT_TRUE(reader.feed(copy));
    }
    ASSERT_TRUE(reader.finish());
    EXPECT_EQ(reader.model(), "whisper-1");
    EXPECT_TRUE(reader.stream());
    EXPECT_TRUE(reader.complete());
  }
}

TEST(FormReader, IsReadyOnceTheModelIsKnown) {
  FormReader reader = reader_of();
  ASSERT_TRUE(reader.feed(part("model", "m") + "--bb\r\n"));
  EXPECT_TRUE(reader.ready_to_route(1 << 20));
  EXPECT_FALSE(reader.complete());
}

TEST(FormReader, ARenamedModelChangesItsValueAlone) {
  const std::string before = part("language", "en"), after = part("file", "xyz") + kEnd;
  const std::string form = before + part("model", "mine") + after;
  for (std::size_t piece = 1; piece <= form.size(); ++piece) {
    EXPECT_EQ(spliced(form, piece, "theirs"), before + part("model", "theirs") + after) << piece;
  }
}

TEST(FormReader, TwoDifferentModelsAreAConflict) {
  FormReader reader = reader_of();
  ASSERT_TRUE(reader.feed(part("model", "a") + part("model", "a")));
  EXPECT_FALSE(reader.model_conflict());
  ASSERT_TRUE(reader.feed(part("model", "b") + kEnd));
  EXPECT_TRUE(reader.model_conflict());
  FormReader named = reader_of("a");
  EXPECT_TRUE(named.ready_to_route(0));
  ASSERT_TRUE(named.feed(part("model", "b") + kEnd));
  EXPECT_TRUE(named.model_conflict());
}

TEST(FormReader, RefusesWhatIsNoFormAndValuesWithoutEnd) {
  FormReader open = reader_of();
  ASSERT_TRUE(open.feed(part("model", "m")));
  EXPECT_EQ(open.finish().error().code, ErrorCode::kInvalidForm);
  FormReader odd = reader_of();
  EXPECT_EQ(odd.feed("--bbx\r\n").error().code, ErrorCode::kInvalidForm);
  FormReader large = reader_of();
  EXPECT_EQ(large.feed(part("model", std::string(kModelBytesMax + 1, 'm'))).error().param, "model");
}

}  // namespace
}  // namespace infermesh::openai
