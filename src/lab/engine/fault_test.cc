#include "lab/engine/fault.h"

#include <gtest/gtest.h>

namespace infermesh::lab {
namespace {

std::string complaint(std::string_view text) {
  const auto fault = parse_fault(text);
  return fault ? "accepted" : fault.error().detail;
}

TEST(Fault, NothingIsNoFault) {
  EXPECT_EQ(*parse_fault(""), Fault{});
  EXPECT_EQ(*parse_fault(" , "), Fault{});
}

TEST(Fault, ReadsEveryWord) {
  const auto fault = parse_fault("delay=200ms, status=503,retry-after=2,content-type=text/html");
  ASSERT_TRUE(fault.has_value());
  EXPECT_EQ(fault->delay, Duration(200ms));
  EXPECT_EQ(fault->status, 503);
  EXPECT_EQ(fault->retry_after_seconds, 2u);
  EXPECT_EQ(fault->content_type, "text/html");

  const auto stream = parse_fault("cut=3,stall=4,bad-chunk=5,bad-frame=6,error-frame=7,no-done");
  ASSERT_TRUE(stream.has_value());
  EXPECT_EQ(stream->cut_after, 3u);
  EXPECT_EQ(stream->stall_after, 4u);
  EXPECT_EQ(stream->bad_chunk_after, 5u);
  EXPECT_EQ(stream->bad_frame_after, 6u);
  EXPECT_EQ(stream->error_frame_after, 7u);
  EXPECT_TRUE(stream->no_done);
}

TEST(Fault, ResetIsAtOnceUnlessAFrameIsNamed) {
  EXPECT_TRUE(parse_fault("reset")->reset_at_once);
  EXPECT_EQ(parse_fault("reset")->reset_after, std::nullopt);
  EXPECT_FALSE(parse_fault("reset=2")->reset_at_once);
  EXPECT_EQ(parse_fault("reset=2")->reset_after, 2u);
}

TEST(Fault, FrameFaultsComeAfterOneFrameByDefault) {
  EXPECT_EQ(parse_fault("bad-chunk")->bad_chunk_after, 1u);
  EXPECT_EQ(parse_fault("bad-frame")->bad_frame_after, 1u);
  EXPECT_EQ(parse_fault("error-frame")->error_frame_after, 1u);
}

TEST(Fault, MistakesAreNamed) {
  EXPECT_EQ(complaint("statsu=503"), "fault \"statsu=503\": did you mean \"status\"?");
  EXPECT_EQ(complaint("frobnicate"), "fault \"frobnicate\": no such fault");
  EXPECT_EQ(complaint("cut"), "fault \"cut\": write cut=N, the frames before it");
  EXPECT_EQ(complaint("cut=x"), "fault \"cut=x\": the value is not a count");
  EXPECT_EQ(complaint("status=200"), "fault \"status=200\": the status must be from 400 to 599");
  EXPECT_EQ(complaint("delay=soon"),
            "fault \"delay=soon\": the value is not a duration, such as 200ms");
  EXPECT_EQ(complaint("delay="), "fault \"delay=\": a value is missing");
  EXPECT_EQ(complaint("retry-after"), "fault \"retry-after\": a value is missing");
}

}  // namespace
}  // namespace infermesh::lab
