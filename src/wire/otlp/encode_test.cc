#include "wire/otlp/encode.h"

#include <gtest/gtest.h>

#include <otlp/trace.pb.h>

namespace infermesh::otlp {
namespace {

infermesh::Span sample() {
  infermesh::Span span;
  span.trace = {0x0102030405060708, 0x090a0b0c0d0e0f10};
  span.id = 0x1112131415161718;
  span.parent = 0x2122232425262728;
  span.trace_state = "vendor=1";
  span.name = "POST /v1/chat/completions";
  span.start = WallTime(Duration(1'700'000'000'000'000'000));
  span.end = span.start + 250ms;
  span.attributes = {{"infermesh.engine", std::string("e1")},
                     {"infermesh.attempts", std::int64_t{2}},
                     {"infermesh.queue_seconds", 0.5},
                     {"infermesh.stream", true}};
  span.events = {{"infermesh.first_byte", span.start + 100ms, {}}};
  span.status = SpanStatus::kError;
  span.status_text = "upstream_reset";
  return span;
}

ExportTraceServiceRequest encoded(const infermesh::Span& span) {
  ExportTraceServiceRequest request;
  EXPECT_TRUE(request.ParseFromString(encode_spans({&span, 1}, {"infermesh", "1.2.3", "node-1"})));
  return request;
}

TEST(Otlp, IdentifiersAreBytesInNetworkOrder) {
  const auto request = encoded(sample());
  const Span& span = request.resource_spans(0).scope_spans(0).spans(0);
  EXPECT_EQ(span.trace_id(), "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10");
  EXPECT_EQ(span.span_id(), "\x11\x12\x13\x14\x15\x16\x17\x18");
  EXPECT_EQ(span.parent_span_id(), "\x21\x22\x23\x24\x25\x26\x27\x28");
}

TEST(Otlp, ATraceThatBeginsHereHasNoParent) {
  infermesh::Span span = sample();
  span.parent = 0;
  EXPECT_TRUE(encoded(span).resource_spans(0).scope_spans(0).spans(0).parent_span_id().empty());
}

TEST(Otlp, CarriesEveryKindOfAttributeAndTheEvents) {
  const auto request = encoded(sample());
  const Span& span = request.resource_spans(0).scope_spans(0).spans(0);
  ASSERT_EQ(span.attributes_size(), 4);
  EXPECT_EQ(span.attributes(0).value().string_value(), "e1");
  EXPECT_EQ(span.attributes(1).value().int_value(), 2);
  EXPECT_EQ(span.attributes(2).value().double_value(), 0.5);
  EXPECT_TRUE(span.attributes(3).value().bool_value());
  ASSERT_EQ(span.events_size(), 1);
  EXPECT_EQ(span.events(0).name(), "infermesh.first_byte");
  EXPECT_EQ(span.events(0).time_unix_nano() - span.start_time_unix_nano(), 100'000'000u);
  EXPECT_EQ(span.end_time_unix_nano() - span.start_time_unix_nano(), 250'000'000u);
  EXPECT_EQ(span.status().code(), Status::STATUS_CODE_ERROR);
  EXPECT_EQ(span.status().message(), "upstream_reset");
  EXPECT_EQ(span.kind(), Span::SPAN_KIND_SERVER);
}

TEST(Otlp, SaysWhoExports) {
  const auto request = encoded(sample());
  const Resource& resource = request.resource_spans(0).resource();
  ASSERT_EQ(resource.attributes_size(), 3);
  EXPECT_EQ(resource.attributes(0).key(), "service.name");
  EXPECT_EQ(resource.attributes(2).value().string_value(), "node-1");
}

TEST(Otlp, ReadsTheCollectorsAnswer) {
  EXPECT_EQ(decode_answer("")->rejected, 0u);
  ExportTraceServiceResponse answer;
  answer.mutable_partial_success()->set_rejected_spans(3);
  answer.mutable_partial_success()->set_error_message("too many");
  const auto read = decode_answer(answer.SerializeAsString());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->rejected, 3u);
  EXPECT_EQ(read->reason, "too many");
  EXPECT_FALSE(decode_answer("\xff not protobuf"));
}

}  // namespace
}  // namespace infermesh::otlp
