#include "data/exchange/request_trace.h"

#include <fmt/format.h>

#include "core/model/api.h"
#include "data/exchange/exchange.h"

namespace infermesh::data {
namespace {

std::uint64_t fresh_id(Rng& rng) {
  std::uint64_t id = 0;
  while (id == 0) id = rng.next();
  return id;
}

class SpanWriter {
 public:
  SpanWriter(Span& span, const RequestStart& start) : span_(span), start_(start) {}

  WallTime wall(Instant at) const { return start_.received_wall + (at - start_.received); }

  void text(std::string_view name, std::string_view value) {
    if (!value.empty()) span_.attributes.push_back({name, std::string(value)});
  }
  void number(std::string_view name, std::int64_t value) {
    span_.attributes.push_back({name, value});
  }
  void tokens(std::string_view name, const std::optional<Tokens>& value) {
    if (value) number(name, value->value);
  }
  void event(std::string_view name, Instant at, std::vector<SpanAttribute> attributes) {
    span_.events.push_back({name, wall(at), std::move(attributes)});
  }

 private:
  Span& span_;
  const RequestStart& start_;
};

void add_attempt(SpanWriter& out, const AttemptRecord& attempt) {
  const Outcome& outcome = attempt.outcome;
  const Decision& decision = attempt.decision;
  out.event("infermesh.routed", outcome.sent_at,
            {{"infermesh.engine", attempt.engine},
             {"infermesh.policy", std::string(to_string(decision.policy))},
             {"infermesh.reason", std::string(to_string(decision.reason))},
             {"infermesh.candidates", std::int64_t{decision.candidates_total}},
             {"infermesh.predicted_ttft_seconds", decision.predicted_ttft_seconds},
             {"infermesh.predicted_cached_tokens", decision.cached_tokens.value}});
  if (outcome.first_byte >= Duration::zero()) {
    out.event("infermesh.first_byte", outcome.sent_at + outcome.first_byte, {});
  }
  if (is_failure(outcome.kind)) {
    out.event("infermesh.attempt_failed", outcome.sent_at + outcome.total,
              {{"infermesh.engine", attempt.engine},
               {"infermesh.outcome", std::string(to_string(outcome.kind))},
               {"infermesh.error", attempt.error}});
  }
}

}  // namespace

RequestTrace::RequestTrace(const http::Headers& headers, double sample, Rng& rng) {
  const auto given = http::find(headers, "traceparent");
  const auto client = given ? http::parse_traceparent(*given) : std::nullopt;
  if (client) {
    context_ = *client;
    parent_ = client->span;
    const auto state = http::find(headers, "tracestate");
    if (state && state->size() <= http::kTraceStateMax) trace_state_ = *state;
  } else {
    context_.trace = {fresh_id(rng), fresh_id(rng)};
    if (rng.unit() < sample) context_.sampled = http::Sampled::kYes;
  }
  if (recorded() || !client) context_.span = fresh_id(rng);
}

std::string RequestTrace::traceparent() const {
  return http::format_traceparent(context_);
}

Span RequestTrace::span(const Exchange& exchange, Instant now) const {
  const ExchangeParts& parts = exchange.parts;
  const DecisionRecord& record = exchange.record;
  Span span;
  span.trace = context_.trace;
  span.id = context_.span;
  span.parent = parent_;
  span.trace_state = trace_state_;
  span.name = fmt::format("{} {}", parts.head.method, parts.path);
  SpanWriter out(span, parts.start);
  span.start = parts.start.received_wall;
  span.end = out.wall(now);
  out.text("http.request.method", parts.head.method);
  out.text("http.route", parts.path);
  out.number("http.response.status_code", record.status);
  out.text("gen_ai.operation.name", gen_ai_operation(parts.api));
  // A name that no engine serves is the client's invention; the error tells it.
  if (exchange.model != nullptr) out.text("gen_ai.request.model", exchange.facts.model);
  out.tokens("gen_ai.usage.input_tokens", exchange.prompt_tokens);
  out.tokens("gen_ai.usage.output_tokens", exchange.output_tokens);
  out.tokens("infermesh.cached_tokens", exchange.cached_tokens);
  out.text("infermesh.request_id", record.request_id);
  out.text("infermesh.pool", record.pool);
  out.text("infermesh.engine", exchange.last_engine);
  out.text("infermesh.reason", exchange.last_reason);
  out.number("infermesh.attempts", static_cast<std::int64_t>(record.attempts.size()));
  span.attributes.push_back({"infermesh.stream", exchange.in_stream});
  span.attributes.push_back({"infermesh.queue_seconds", to_seconds(record.queued)});
  out.text("error.type", record.error_code);
  if (record.queued > Duration::zero() && !record.attempts.empty()) {
    out.event("infermesh.queued", record.attempts.front().outcome.sent_at - record.queued, {});
  }
  for (const AttemptRecord& attempt : record.attempts) add_attempt(out, attempt);
  if (record.status >= 500 || (!record.error_code.empty() && record.status < 400)) {
    span.status = SpanStatus::kError;
    span.status_text = record.error_code;
  }
  return span;
}

}  // namespace infermesh::data
