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
  TracedRequest of{.start = parts.start,
                   .record = exchange.record,
                   .name = fmt::format("{} {}", parts.head.method, parts.path),
                   .kind = {{"http.request.method", std::string(parts.head.method)},
                            {"http.route", std::string(parts.path)},
                            {"http.response.status_code", std::int64_t{exchange.record.status}}}};
  const std::string_view operation = gen_ai_operation(parts.api);
  if (!operation.empty()) of.kind.push_back({"gen_ai.operation.name", std::string(operation)});
  // A name that no engine serves is the client's invention; the error tells it.
  if (exchange.model != nullptr) of.model = exchange.facts.model;
  of.engine = exchange.last_engine;
  of.reason = exchange.last_reason;
  of.prompt_tokens = exchange.prompt_tokens;
  of.output_tokens = exchange.output_tokens;
  of.cached_tokens = exchange.cached_tokens;
  of.stream = exchange.in_stream;
  return span(std::move(of), now);
}

Span RequestTrace::span(TracedRequest of, Instant now) const {
  const DecisionRecord& record = of.record;
  Span span;
  span.trace = context_.trace;
  span.id = context_.span;
  span.parent = parent_;
  span.trace_state = trace_state_;
  span.name = std::move(of.name);
  span.attributes = std::move(of.kind);
  SpanWriter out(span, of.start);
  span.start = of.start.received_wall;
  span.end = out.wall(now);
  out.text("gen_ai.request.model", of.model);
  out.tokens("gen_ai.usage.input_tokens", of.prompt_tokens);
  out.tokens("gen_ai.usage.output_tokens", of.output_tokens);
  out.tokens("infermesh.cached_tokens", of.cached_tokens);
  out.text("infermesh.request_id", record.request_id);
  out.text("infermesh.pool", record.pool);
  out.text("infermesh.engine", of.engine);
  out.text("infermesh.reason", of.reason);
  out.number("infermesh.attempts", static_cast<std::int64_t>(record.attempts.size()));
  span.attributes.push_back({"infermesh.stream", of.stream});
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
