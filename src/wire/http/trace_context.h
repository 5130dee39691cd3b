// W3C Trace Context, level 1: the headers traceparent and tracestate
// (https://www.w3.org/TR/trace-context-1/). A traceparent that does not follow it is taken for
// absent, as the standard asks, and its tracestate with it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/model/span.h"

namespace infermesh::http {

constexpr std::size_t kTraceStateMax =
    512;  // characters that are passed on; a longer one is left out

enum class Sampled : std::uint8_t { kNo, kYes };

struct TraceContext {
  TraceId trace;
  SpanId span = 0;
  Sampled sampled = Sampled::kNo;
};

// Reads any version: later ones begin with the fields of version 00 and may have more after them.
std::optional<TraceContext> parse_traceparent(std::string_view text);
// Version 00, 55 characters.
std::string format_traceparent(const TraceContext& context);

}  // namespace infermesh::http
