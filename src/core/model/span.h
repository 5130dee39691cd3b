// Span: what one request was like, for a tracing backend. Made by the data plane when a request has
// ended, exported by app. Names of attributes and events are literals; they follow OpenTelemetry's
// semantic conventions (HTTP, GenAI) where these have one, infermesh.* otherwise.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/time.h"

namespace infermesh {

struct TraceId {
  std::uint64_t high = 0, low = 0;
  bool operator==(const TraceId&) const = default;
};
using SpanId = std::uint64_t;  // 0: none

struct SpanAttribute {
  std::string_view name;  // a literal
  std::variant<std::string, std::int64_t, double, bool> value;
};

struct SpanEvent {
  std::string_view name;  // a literal
  WallTime at{};
  std::vector<SpanAttribute> attributes;
};

enum class SpanStatus : std::uint8_t { kUnset, kError };

struct Span {
  TraceId trace;
  SpanId id = 0;
  SpanId parent = 0;        // the client's span, 0 when the trace begins here
  std::string trace_state;  // the client's, as it came
  std::string name;
  WallTime start{}, end{};
  std::vector<SpanAttribute> attributes;
  std::vector<SpanEvent> events;  // in the order of time
  SpanStatus status = SpanStatus::kUnset;
  std::string status_text;  // one sentence when kError
};

}  // namespace infermesh
