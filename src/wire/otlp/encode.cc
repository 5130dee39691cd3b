#include "wire/otlp/encode.h"

#include <algorithm>

#include <otlp/trace.pb.h>

namespace infermesh::otlp {
namespace {

std::uint64_t nanos(WallTime time) {
  return static_cast<std::uint64_t>(time.time_since_epoch().count());
}

// Identifiers are bytes in network order.
void append_bytes(std::string& out, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

std::string bytes_of(std::uint64_t value) {
  std::string out;
  append_bytes(out, value);
  return out;
}

void put_text(KeyValue& pair, std::string_view key, std::string_view value) {
  pair.set_key(std::string(key));
  pair.mutable_value()->set_string_value(std::string(value));
}

void put(KeyValue& pair, const SpanAttribute& attribute) {
  pair.set_key(std::string(attribute.name));
  AnyValue& value = *pair.mutable_value();
  struct Visitor {
    AnyValue& value;
    void operator()(const std::string& text) { value.set_string_value(text); }
    void operator()(std::int64_t number) { value.set_int_value(number); }
    void operator()(double number) { value.set_double_value(number); }
    void operator()(bool flag) { value.set_bool_value(flag); }
  };
  std::visit(Visitor{value}, attribute.value);
}

void put(infermesh::otlp::Span& out, const infermesh::Span& span) {
  std::string trace;
  append_bytes(trace, span.trace.high);
  append_bytes(trace, span.trace.low);
  out.set_trace_id(std::move(trace));
  out.set_span_id(bytes_of(span.id));
  if (span.parent != 0) out.set_parent_span_id(bytes_of(span.parent));
  out.set_trace_state(span.trace_state);
  out.set_name(span.name);
  out.set_kind(Span::SPAN_KIND_SERVER);
  out.set_start_time_unix_nano(nanos(span.start));
  out.set_end_time_unix_nano(nanos(span.end));
  out.set_flags(1);  // sampled: others are not exported
  for (const SpanAttribute& attribute : span.attributes) put(*out.add_attributes(), attribute);
  for (const SpanEvent& event : span.events) {
    Span::Event& added = *out.add_events();
    added.set_time_unix_nano(nanos(event.at));
    added.set_name(std::string(event.name));
    for (const SpanAttribute& attribute : event.attributes) put(*added.add_attributes(), attribute);
  }
  if (span.status == SpanStatus::kError) {
    out.mutable_status()->set_code(Status::STATUS_CODE_ERROR);
    out.mutable_status()->set_message(span.status_text);
  }
}

}  // namespace

std::string encode_spans(std::span<const infermesh::Span> spans, const Source& source) {
  ExportTraceServiceRequest request;
  ResourceSpans& all = *request.add_resource_spans();
  put_text(*all.mutable_resource()->add_attributes(), "service.name", source.service);
  put_text(*all.mutable_resource()->add_attributes(), "service.version", source.version);
  put_text(*all.mutable_resource()->add_attributes(), "service.instance.id", source.instance);
  ScopeSpans& scope = *all.add_scope_spans();
  scope.mutable_scope()->set_name("infermesh");
  scope.mutable_scope()->set_version(std::string(source.version));
  for (const infermesh::Span& span : spans) put(*scope.add_spans(), span);
  return request.SerializeAsString();
}

Result<PartialSuccess> decode_answer(std::string_view body) {
  ExportTraceServiceResponse answer;
  if (!answer.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return fail(ErrorCode::kUpstreamBadResponse, "the collector's answer is not protobuf");
  }
  const ExportTracePartialSuccess& partial = answer.partial_success();
  return PartialSuccess{
      static_cast<std::uint64_t>(std::max<std::int64_t>(partial.rejected_spans(), 0)),
      partial.error_message()};
}

}  // namespace infermesh::otlp
