// RequestTrace: a request's place in its client's trace (W3C Trace Context) and the one span that
// tells its life: queue, route, upstream, first byte. Only made when spans are exported; without it
// the client's own headers pass to the engine untouched. Of one exchange or gRPC call.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "core/model/decision.h"
#include "core/model/span.h"
#include "data/exchange/request.h"
#include "wire/http/head.h"
#include "wire/http/trace_context.h"

namespace infermesh::data {

class Exchange;

// What a span tells of a request that has ended; texts that are empty are left out.
struct TracedRequest {
  const RequestStart& start;
  const DecisionRecord& record;
  std::string name;
  std::vector<SpanAttribute> kind;  // what was asked, in the words of its protocol
  std::string_view model = {};      // one that is served
  std::string_view engine = {}, reason = {};
  std::optional<Tokens> prompt_tokens = {}, output_tokens = {}, cached_tokens = {};
  bool stream = false;
};

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
  Span span(TracedRequest of, Instant now) const;

 private:
  http::TraceContext context_;  // its span is this router's own
  SpanId parent_ = 0;
  std::string trace_state_;
};

}  // namespace infermesh::data
