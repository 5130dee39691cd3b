#include <fmt/format.h>

#include <algorithm>

#include <boost/json.hpp>
#include <functional>

#include "base/text.h"
#include "control/admin_json.h"
#include "control/json_text.h"

namespace infermesh::control {
namespace {

namespace json = boost::json;
using NameOf = std::function<std::string(EndpointId)>;

json::value text_or_null(std::string_view text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}

json::value tokens_or_null(std::optional<Tokens> tokens) {
  return tokens ? json::value(tokens->value) : json::value(nullptr);
}

json::object candidate_json(const CandidateNote& note, const NameOf& name_of) {
  return {
      {"engine", name_of(note.endpoint)},
      {"rejection", note.rejection == Rejection::kNone ? json::value(nullptr)
                                                       : json::value(to_string(note.rejection))},
      {"state", to_string(note.state)},
      {"out_reason", text_or_null(note.out_reason)},
      {"out_for_ms", millis_or_null(note.out_for)},
      {"score", rounded(note.score, 6)},
      {"in_flight", note.in_flight},
      {"waiting",
       note.reported_waiting < 0 ? json::value(nullptr) : json::value(note.reported_waiting)},
      {"tokens_ahead", note.tokens_ahead.value},
      {"cached_tokens", note.cached_tokens.value},
      {"queue_ms", rounded(note.queue_seconds * 1e3, 3)},
      {"slot_ms", rounded(note.slot_seconds * 1e3, 3)},
      {"prefill_ms", rounded(note.prefill_seconds * 1e3, 3)},
      {"decode_ms", rounded(note.decode_seconds * 1e3, 3)},
      {"load_age_ms", millis_or_null(note.load_age)},
      {"rates_age_ms", millis_or_null(note.rates_age)}};
}

json::object decision_object(const Decision& decision, const NameOf& name_of) {
  json::array candidates;
  for (const CandidateNote& note : decision.notes) {
    candidates.push_back(candidate_json(note, name_of));
  }
  const bool refused = !decision.endpoint && !decision.wait;
  return {{"engine", decision.endpoint ? json::value(name_of(*decision.endpoint)) : nullptr},
          {"refusal", refused ? json::value(error_info(decision.refusal).name) : nullptr},
          {"wait", decision.wait},
          {"policy", to_string(decision.policy)},
          {"reason", to_string(decision.reason)},
          {"trial", decision.trial},
          {"cached_tokens", decision.cached_tokens.value},
          {"uncached_tokens", decision.uncached_tokens.value},
          {"predicted_ttft_ms", decision.predicted_ttft_seconds > 0
                                    ? rounded(decision.predicted_ttft_seconds * 1e3, 3)
                                    : json::value(nullptr)},
          {"expected_output_tokens", rounded(decision.expected_output_tokens, 1)},
          {"candidates_total", decision.candidates_total},
          {"candidates", std::move(candidates)}};
}

json::object attempt_json(const AttemptRecord& attempt, const NameOf& name_of) {
  const Outcome& outcome = attempt.outcome;
  return {{"engine", text_or_null(attempt.engine)},
          {"outcome", to_string(outcome.kind)},
          {"error", text_or_null(attempt.error)},
          {"retry", text_or_null(attempt.retry)},
          {"status", outcome.status == 0 ? json::value(nullptr) : json::value(outcome.status)},
          {"first_byte_ms", millis_or_null(outcome.first_byte)},
          {"total_ms", millis(outcome.total)},
          {"prompt_tokens", tokens_or_null(outcome.prompt_tokens)},
          {"cached_tokens", tokens_or_null(outcome.cached_tokens)},
          {"output_tokens", tokens_or_null(outcome.output_tokens)},
          {"retry_after_ms", millis_or_null(outcome.retry_after)},
          {"decision", decision_object(attempt.decision, name_of)}};
}

// The engine that answered: the last attempt's, when the request got an answer from it.
json::value answered_by(const DecisionRecord& record) {
  if (record.attempts.empty() || !record.error_code.empty()) return nullptr;
  const AttemptRecord& last = record.attempts.back();
  if (last.outcome.status == 0 && last.outcome.first_byte < Duration::zero()) return nullptr;
  return json::value(last.engine);
}

json::object summary_object(const DecisionRecord& record) {
  return {{"request_id", record.request_id},
          {"received", format_wall_time(record.received)},
          {"finished", record.finished},
          {"api", to_string(record.facts.api)},
          {"model", record.facts.model},
          {"pool", text_or_null(record.pool)},
          {"stream", record.facts.stream},
          {"priority", to_string(record.facts.priority)},
          {"prompt_tokens", record.facts.prompt_tokens.value},
          {"status", record.status == 0 ? json::value(nullptr) : json::value(record.status)},
          {"error_code", text_or_null(record.error_code)},
          {"engine", answered_by(record)},
          {"attempts_total", record.attempts.size()},
          {"queued_ms", millis(record.queued)},
          {"ttft_ms", millis_or_null(record.ttft)},
          {"total_ms", millis(record.total)}};
}

std::optional<Api> parse_api(std::string_view name) {
  for (std::size_t i = 0; i < kApis; ++i) {
    const auto api = static_cast<Api>(i);
    if (to_string(api) == name) return api;
  }
  return std::nullopt;
}

Error wrong_field(std::string_view key, std::string why) {
  return {ErrorCode::kInvalidField, fmt::format("{} {}", key, why), std::string(key)};
}

// Puts one member of the body into the test; an Error when it cannot be used.
std::optional<Error> take_member(std::string_view key, const json::value& value, RouteTest& test) {
  static const std::vector<std::string> kKeys{"model", "prompt", "api", "session"};
  if (std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end()) {
    const auto near = nearest(key, kKeys, 1);
    return wrong_field(key, near.empty()
                                ? "is not known here; known: model, prompt, api, session"
                                : fmt::format("is not known here; did you mean {}?", near[0]));
  }
  if (!value.is_string()) return wrong_field(key, "must be a string");
  const std::string text(value.get_string());
  if (key == "model") test.model = text;
  if (key == "prompt") test.prompt = text;
  if (key == "session") test.session = text;
  if (key == "api") {
    const auto api = parse_api(text);
    if (!api)
      return wrong_field(key, fmt::format("\"{}\" is not an inference API; try chat", text));
    test.api = *api;
  }
  return std::nullopt;
}

}  // namespace

std::string decision_json(const DecisionRecord& record) {
  const NameOf name_of = [&](EndpointId id) -> std::string {
    for (const auto& [known, name] : record.engine_names) {
      if (known == id) return name;
    }
    for (const AttemptRecord& attempt : record.attempts) {
      if (attempt.endpoint == id) return attempt.engine;
    }
    return fmt::format("#{}", id.value);
  };
  json::object out = summary_object(record);
  out["body_bytes"] = record.facts.body_bytes.value;
  out["output_tokens_max"] = tokens_or_null(record.facts.output_tokens_max);
  out["session"] = record.facts.session_key != 0;
  json::array attempts;
  for (const AttemptRecord& attempt : record.attempts) {
    attempts.push_back(attempt_json(attempt, name_of));
  }
  if (record.undecided) {
    AttemptRecord none;
    none.decision = *record.undecided;
    json::object shown = attempt_json(none, name_of);
    shown["outcome"] = nullptr;
    attempts.push_back(std::move(shown));
  }
  out["attempts"] = std::move(attempts);
  return json_text(out);
}

std::string decisions_json(std::span<const DecisionRecord> newest_first) {
  json::array out;
  for (const DecisionRecord& record : newest_first) out.push_back(summary_object(record));
  return json_text(json::object{{"decisions", std::move(out)}});
}

Result<RouteTest> parse_route_test(std::string_view body) {
  boost::system::error_code failed;
  const json::value value = json::parse(body, failed);
  if (failed) return fail(ErrorCode::kInvalidJson, fmt::format("the body: {}", failed.message()));
  const json::object* object = value.if_object();
  if (object == nullptr) return fail(ErrorCode::kInvalidJson, "the body is not a JSON object");
  RouteTest test;
  for (const auto& [key, member] : *object) {
    if (auto error = take_member(key, member, test)) return std::unexpected(*error);
  }
  if (test.model.empty()) {
    return fail(ErrorCode::kMissingRequiredParameter, "model is missing", "model");
  }
  return test;
}

std::string route_json(const RequestFacts& facts, std::string_view pool, const Decision& decision,
                       const MeshView& view) {
  const NameOf name_of = [&](EndpointId id) -> std::string {
    const Endpoint* engine = view.endpoint(id);
    return engine != nullptr ? engine->name : fmt::format("#{}", id.value);
  };
  return json_text(json::object{{"model", facts.model},
                                {"api", to_string(facts.api)},
                                {"pool", text_or_null(pool)},
                                {"prompt_tokens", facts.prompt_tokens.value},
                                {"decision", decision_object(decision, name_of)}});
}

bool all_ok(std::span<const ReadinessCheck> checks) {
  return std::all_of(checks.begin(), checks.end(), [](const auto& check) { return check.ok; });
}

std::string readiness_json(std::span<const ReadinessCheck> checks) {
  json::array out;
  for (const ReadinessCheck& check : checks) {
    out.push_back(json::object{{"name", check.name}, {"ok", check.ok}, {"detail", check.detail}});
  }
  return json_text(json::object{{"ready", all_ok(checks)}, {"checks", std::move(out)}});
}

std::string problem_details_json(const Error& error, std::string_view next) {
  const ErrorInfo& info = error_info(error.code);
  json::object out{{"type", fmt::format("urn:infermesh:error:{}", info.name)},
                   {"title", info.what},
                   {"status", info.status},
                   {"detail", error.detail},
                   {"code", info.name},
                   {"next", next.empty() ? info.next : next}};
  if (!error.param.empty()) out["param"] = error.param;
  return json_text(out);
}

}  // namespace infermesh::control
