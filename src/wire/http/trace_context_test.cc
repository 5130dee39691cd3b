#include "wire/http/trace_context.h"

#include <gtest/gtest.h>

namespace infermesh::http {
namespace {

constexpr std::string_view kGiven = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(TraceContext, IsReadAndWrittenBack) {
  const auto context = parse_traceparent(kGiven);
  ASSERT_TRUE(context);
  EXPECT_EQ(context->trace, (TraceId{0x4bf92f3577b34da6, 0xa3ce929d0e0e4736}));
  EXPECT_EQ(context->span, 0x00f067aa0ba902b7u);
  EXPECT_EQ(context->sampled, Sampled::kYes);
  EXPECT_EQ(format_traceparent(*context), kGiven);
}

TEST(TraceContext, OnlyTheLowestFlagSaysSampled) {
  std::string text(kGiven);
  text.replace(53, 2, "fe");
  EXPECT_EQ(parse_traceparent(text)->sampled, Sampled::kNo);
  text.replace(53, 2, "ff");
  EXPECT_EQ(parse_traceparent(text)->sampled, Sampled::kYes);
}

TEST(TraceContext, ALaterVersionMayHaveMoreFields) {
  std::string later(kGiven);
  later.replace(0, 2, "cc");
  EXPECT_TRUE(parse_traceparent(later));
  EXPECT_TRUE(parse_traceparent(later + "-what-the-future-brings"));
  EXPECT_FALSE(parse_traceparent(later + ".x"));
  EXPECT_FALSE(parse_traceparent(std::string(kGiven) + "-more"));
}

TEST(TraceContext, WhatTheStandardForbidsIsTakenForAbsent) {
  for (const std::string_view bad :
       {"", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01"}) {
    EXPECT_FALSE(parse_traceparent(bad)) << bad;
  }
}

}  // namespace
}  // namespace infermesh::http
