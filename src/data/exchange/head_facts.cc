#include "data/exchange/head_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "wire/openai/facts_options.h"

namespace infermesh::data {
namespace {

constexpr double kLongestSeconds = 86'400;

// Nothing when the header is not there.
Result<std::optional<Duration>> duration_of(const http::Headers& headers, http::HeaderName field,
                                            Duration unit) {
  const auto value = http::find(headers, field);
  if (!value) return std::nullopt;
  const std::string_view name = http::to_string(field);
  const std::string_view text = trim(*value);
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  const double seconds = number * to_seconds(unit);
  if (!whole || seconds <= 0 || seconds > kLongestSeconds) {
    return fail(ErrorCode::kInvalidField,
                fmt::format("{} is \"{}\"; it takes a positive number of {}, at most a day.", name,
                            text.substr(0, 64), unit == Duration(1s) ? "seconds" : "milliseconds"),
                std::string(name));
  }
  return from_seconds(seconds);
}

std::optional<Priority> parse_priority(std::string_view text) {
  for (const Priority priority : {Priority::kLow, Priority::kNormal, Priority::kHigh}) {
    if (iequals(text, to_string(priority))) return priority;
  }
  return std::nullopt;
}

}  // namespace

Result<HeadFacts> read_head_facts(const http::Headers& headers, Instant received) {
  HeadFacts facts;
  const auto own = duration_of(headers, http::HeaderName::kXInfermeshTimeoutMs, 1ms);
  if (!own) return std::unexpected(own.error());
  const auto stainless = duration_of(headers, http::HeaderName::kXStainlessReadTimeout, 1s);
  if (!stainless) return std::unexpected(stainless.error());
  if (*own) facts.deadline = std::min(facts.deadline, received + **own);
  if (*stainless) facts.deadline = std::min(facts.deadline, received + **stainless);
  if (const auto given = http::find(headers, http::HeaderName::kXInfermeshPriority)) {
    facts.priority = parse_priority(trim(*given));
    if (!facts.priority) {
      return fail(ErrorCode::kInvalidField,
                  fmt::format("x-infermesh-priority is \"{}\"; it takes low, normal or high.",
                              trim(*given).substr(0, 64)),
                  "x-infermesh-priority");
    }
  }
  return facts;
}

std::uint64_t session_of(const http::Headers& headers, const RoutingPolicyObject& policy,
                         const openai::BodyReader& body) {
  const auto key = http::find(headers, policy.session_header);
  if (key && !key->empty()) return openai::session_key(*key);
  return policy.session_body_key.empty() ? 0 : body.body_session(policy.session_body_key);
}

bool knows_enough(const http::Headers& headers, const RoutingPolicyObject& policy,
                  const openai::BodyReader& body, std::uint64_t most) {
  switch (policy.policy) {
    case PolicyKind::kExpectedLatency:
    case PolicyKind::kPrefixAffinity:
      return body.ready_to_route(most);
    case PolicyKind::kSession:
      if (!body.ready_to_route(0)) return false;
      return policy.session_body_key.empty() || session_of(headers, policy, body) != 0;
    default:
      return body.ready_to_route(0);
  }
}

}  // namespace infermesh::data
