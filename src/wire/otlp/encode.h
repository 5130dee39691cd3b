// Spans as an OTLP/HTTP body: ExportTraceServiceRequest in protobuf's binary form
// (api/proto/otlp/trace.proto). The generated code stays behind this header.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "core/model/span.h"

namespace infermesh::otlp {

constexpr std::string_view kContentType = "application/x-protobuf";

// Who exports: the resource attributes service.*.
struct Source {
  std::string_view service;   // service.name
  std::string_view version;   // service.version
  std::string_view instance;  // service.instance.id
};

std::string encode_spans(std::span<const Span> spans, const Source& source);

// What a collector says with a 2xx: how many spans of the batch it did not take, and why.
struct PartialSuccess {
  std::uint64_t rejected = 0;
  std::string reason;
};
// An empty answer means that all was taken. kUpstreamBadResponse when it cannot be read.
Result<PartialSuccess> decode_answer(std::string_view body);

}  // namespace infermesh::otlp
