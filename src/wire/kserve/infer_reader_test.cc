#include "wire/kserve/infer_reader.h"

#include <gtest/gtest.h>

#include "wire/openai/facts_options.h"

namespace infermesh::kserve {
namespace {

constexpr std::string_view kHeader =
    R"({"id":"r-1","inputs":[{"name":"x","parameters":{"sequence_id":7,"binary_data_size":4}}],)"
    R"("parameters":{"sequence_start":true,"sequence_id":42,"deep":{"sequence_id":9}}})";

InferReader reader_of(std::optional<std::uint64_t> json_bytes = std::nullopt) {
  return InferReader(Api::kInfer, {.model = "m", .stream = false, .json_bytes = json_bytes});
}

TEST(InferReader, ReadsIdAndSequenceOfAnyCut) {
  for (std::size_t cut = 0; cut <= kHeader.size(); ++cut) {
    InferReader reader = reader_of(kHeader.size());
    ASSERT_TRUE(reader.feed(kHeader.substr(0, cut)));
    ASSERT_TRUE(reader.feed(std::string(kHeader.substr(cut)) + std::string("\0\xff\"{", 4)));
    EXPECT_EQ(reader.id(), "r-1") << cut;
    EXPECT_EQ(reader.body_session(kSequenceKey), openai::session_key("42")) << cut;
    EXPECT_TRUE(reader.settled());
    EXPECT_EQ(reader.offset(), kHeader.size() + 4);
  }
}

TEST(InferReader, RoutesByThePathBeforeAnyByteHasCome) {
  const InferReader reader = reader_of();
  EXPECT_TRUE(reader.ready_to_route(1 << 20));
  EXPECT_EQ(reader.facts().model, "m");
  EXPECT_FALSE(reader.settled());
  EXPECT_TRUE(reader_of(0).settled()) << "the whole body is one tensor";
}

TEST(InferReader, TakesASequenceIdThatIsText) {
  InferReader reader = reader_of();
  ASSERT_TRUE(reader.feed(R"({"parameters":{"sequence_id":"a b"}})"));
  EXPECT_EQ(reader.body_session("sequence_id"), openai::session_key("a b"));
  EXPECT_EQ(reader.body_session("user"), 0u);
}

TEST(InferReader, WhatIsNoJsonIsTheEnginesToRefuse) {
  InferReader reader = reader_of();
  EXPECT_TRUE(reader.feed("\x01\x02\x03"));
  EXPECT_TRUE(reader.settled());
  EXPECT_TRUE(reader.finish());
  EXPECT_EQ(reader.id(), "");
}

TEST(InferReader, StopsAtItsBound) {
  InferReader reader = reader_of();
  ASSERT_TRUE(reader.feed(R"({"inputs":[)"));
  for (int i = 0; i < 100 && !reader.settled(); ++i) {
    ASSERT_TRUE(reader.feed(std::string(1024, ' ')));
  }
  EXPECT_TRUE(reader.settled());
  EXPECT_LE(reader.offset(), kHeaderBytesMax + 1024);
}

TEST(InferReader, LongIdsAreNotKept) {
  InferReader reader = reader_of();
  ASSERT_TRUE(reader.feed(R"({"id":")" + std::string(kIdBytesMax + 1, 'x') + R"("})"));
  EXPECT_EQ(reader.id(), "");
}

}  // namespace
}  // namespace infermesh::kserve
