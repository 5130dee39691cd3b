#include <array>
#include <optional>
#include <string_view>

#include "base/assert.h"
#include "core/model/decision.h"
#include "core/model/mesh_view.h"

namespace infermesh {
namespace {

template <typename Enum, std::size_t N>
std::string_view pick(const std::array<std::string_view, N>& names, Enum value) {
  const auto index = static_cast<std::size_t>(value);
  IM_ASSERT(index < N);
  return names[index];
}

constexpr std::array<std::string_view, 3> kPriorityNames{"low", "normal", "high"};
constexpr std::array<std::string_view, kPolicyKinds> kPolicyNames{
    "expected_latency", "round_robin", "random",         "least_request",
    "power_of_two",     "session",     "prefix_affinity"};
constexpr std::array<std::string_view, 5> kStateNames{"joining", "ready", "suspect", "down",
                                                      "draining"};
constexpr std::array<std::string_view, 8> kRejectionNames{
    "none", "not_ready", "draining", "ejected", "tried", "full", "too_long", "api"};
constexpr std::array<std::string_view, 9> kReasonNames{"none",         "only_one",      "policy",
                                                       "least_loaded", "prefix_cached", "fastest",
                                                       "session",      "fallback",      "trial"};
constexpr std::array<std::string_view, 10> kOutcomeNames{
    "ok",    "client_error", "engine_error", "overloaded",   "connect_failed",
    "reset", "timeout",      "truncated",    "bad_response", "cancelled"};

}  // namespace

std::string_view to_string(Priority value) {
  return pick(kPriorityNames, value);
}
std::string_view to_string(PolicyKind value) {
  return pick(kPolicyNames, value);
}
std::string_view to_string(EndpointState value) {
  return pick(kStateNames, value);
}
std::string_view to_string(Rejection value) {
  return pick(kRejectionNames, value);
}
std::string_view to_string(Reason value) {
  return pick(kReasonNames, value);
}
std::string_view to_string(OutcomeKind value) {
  return pick(kOutcomeNames, value);
}

std::optional<PolicyKind> parse_policy_kind(std::string_view name) {
  for (std::size_t i = 0; i < kPolicyNames.size(); ++i) {
    if (kPolicyNames[i] == name) return static_cast<PolicyKind>(i);
  }
  return std::nullopt;
}

bool is_failure(OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::kOk:
    case OutcomeKind::kClientError:
    case OutcomeKind::kCancelled:
      return false;
    default:
      return true;
  }
}

}  // namespace infermesh
