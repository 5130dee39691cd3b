// RequestTrace: a request's place in its client's trace (W3C Trace Context) and the one span that
// tells its life: queue, route, upstream, first byte. Only made when spans are exported; without it
// the client's own headers pass to the engine untouched. Of one exchange.
#pragma once

#include <optional>
#include <string>

#include "base/rng.h"
#include "core/model/span.h"
#include "wire/http/head.h"
#include "wire/http/trace_context.h"

namespace infermesh::data {

class Exchange;

class RequestTrace {
 public:
  // Goes on with the client's trace, or begins one, of which the share `sample` is recorded; a
  // client's own choice to be sampled or not holds.
  RequestTrace(const http::Headers& headers, double sample, Rng& rng);

  // For the engine: the same trace, with this router's span as the parent when it is recorded.
  std::string traceparent() const;
  bool recorded() const { return context_.sampled == http::Sampled::kYes; }
  // Of the exchange that has ended; its record must still be there.
  Span span(const Exchange& exchange, Instant now) const;

 private:
  http::TraceContext context_;  // its span is this router's own
  SpanId parent_ = 0;
  std::string trace_state_;
};

}  // namespace infermesh::data
