#include "core/health/retry.h"

#include <algorithm>
#include <array>

#include "base/assert.h"

namespace infermesh::health {
namespace {

constexpr Duration kBackoffFirst = 10ms;
constexpr Duration kBackoffMax = 1s;

}  // namespace

std::string_view to_string(RetryVerdict verdict) {
  constexpr std::array<std::string_view, 7> kNames{
      "retry",    "not_retryable", "first_byte_sent", "attempts_spent",
      "deadline", "budget",        "body_gone"};
  const auto index = static_cast<std::size_t>(verdict);
  IM_ASSERT(index < kNames.size());
  return kNames[index];
}

bool retryable(OutcomeKind kind, std::uint16_t status) {
  switch (kind) {
    case OutcomeKind::kConnectFailed:
    case OutcomeKind::kReset:
    case OutcomeKind::kBadResponse:
    case OutcomeKind::kOverloaded:
      return true;
    case OutcomeKind::kEngineError:
      return status == 502 || status == 503 || status == 504;
    case OutcomeKind::kClientError:
      return status == 404 || status == 429;
    case OutcomeKind::kOk:
    case OutcomeKind::kTimeout:
    case OutcomeKind::kTruncated:
    case OutcomeKind::kCancelled:
      return false;
  }
  IM_ASSERT(false);
}

Duration retry_delay(const RetryQuestion& question, Rng& rng) {
  const std::uint32_t doublings = std::min(question.attempts - 1, 10U);
  const Duration full = std::min<Duration>(kBackoffFirst * (1U << doublings), kBackoffMax);
  const Duration backoff = from_seconds(to_seconds(full) * (0.5 + 0.5 * rng.unit()));
  if (question.elsewhere == Elsewhere::kNone)
    return std::max(backoff, question.outcome.retry_after);
  return question.attempts <= 1 ? Duration(0) : backoff;
}

RetryBudget::RetryBudget(double share, double floor_per_second, double saved_max)
    : share_(share),
      floor_per_second_(floor_per_second),
      saved_max_(saved_max),
      saved_(saved_max / 5) {}

void RetryBudget::earn_by_time(Instant now) {
  // Time earns up to the starting balance only: a quiet night does not pay for a storm.
  const double floor_max = saved_max_ / 5;
  if (now > earned_at_ && saved_ < floor_max) {
    saved_ = std::min(floor_max, saved_ + floor_per_second_ * to_seconds(now - earned_at_));
  }
  earned_at_ = std::max(earned_at_, now);
}

void RetryBudget::on_request(Instant now) {
  earn_by_time(now);
  saved_ = std::min(saved_max_, saved_ + share_);
}

bool RetryBudget::take(Instant now) {
  earn_by_time(now);
  if (saved_ < 1) return false;
  saved_ -= 1;
  return true;
}

RetryAnswer should_retry(const RetryQuestion& question, RetryBudget& budget, Rng& rng) {
  IM_ASSERT(question.attempts >= 1);
  if (!retryable(question.outcome.kind, question.outcome.status))
    return {RetryVerdict::kNotRetryable, {}};
  if (question.first_byte_sent) return {RetryVerdict::kFirstByteSent, {}};
  if (!question.body_held) return {RetryVerdict::kBodyGone, {}};
  if (question.attempts >= question.attempts_max) return {RetryVerdict::kAttemptsSpent, {}};
  const Duration delay = retry_delay(question, rng);
  if (question.deadline - question.now <= delay) return {RetryVerdict::kDeadline, {}};
  if (!budget.take(question.now)) return {RetryVerdict::kBudget, {}};
  return {RetryVerdict::kRetry, delay};
}

}  // namespace infermesh::health
