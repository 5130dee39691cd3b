// Retries: whether a failed attempt may be repeated elsewhere, when, and how many in all. Pure;
// used by each shard.
//
// A request is repeated only before its client has seen a byte. Which outcomes: the engine was not
// reached, closed before it answered, answered nonsense, or said that it cannot now (429, 502, 503,
// 504); or 404 for a model that the mesh believes it serves (a stale replica). Never after a
// timeout: the time is spent and the engine may be at work.
#pragma once

#include <cstdint>

#include "base/rng.h"
#include "base/time.h"
#include "core/model/decision.h"

namespace infermesh::health {

enum class RetryVerdict : std::uint8_t {
  kRetry,
  kNotRetryable,   // by its outcome
  kFirstByteSent,  // the client has seen part of an answer
  kAttemptsSpent,
  kDeadline,  // the wait would end after it
  kBudget,    // retries have used up their share of traffic
  kBodyGone,  // the beginning of a long body is not held any more
};
std::string_view to_string(RetryVerdict verdict);

bool retryable(OutcomeKind kind, std::uint16_t status);

enum class Elsewhere : std::uint8_t { kAvailable, kNone };  // another engine that could take it

struct RetryQuestion {
  const Outcome& outcome;
  std::uint32_t attempts = 1;  // made so far
  std::uint32_t attempts_max = 3;
  bool first_byte_sent = false;  // to the client
  bool body_held = true;         // all that has been read of it: it can be sent again
  Instant now{};
  Instant deadline = kNever;
  Elsewhere elsewhere = Elsewhere::kAvailable;
};

struct RetryAnswer {
  RetryVerdict verdict = RetryVerdict::kNotRetryable;
  Duration delay{0};
};

// Backoff 10 ms x 2^(attempts-1) up to 1 s, half of it by chance; none before the first retry on
// another engine. When there is no other engine, the engine's own Retry-After is the least. The
// budget is asked last, by should_retry.
Duration retry_delay(const RetryQuestion& question, Rng& rng);

// Share of traffic that may be retries: each request earns `share` of a retry, each retry costs
// one. A small floor is earned by time, so that a quiet pool can retry too. One a shard and pool.
class RetryBudget {
 public:
  explicit RetryBudget(double share, double floor_per_second = 0.5, double saved_max = 50);

  void on_request(Instant now);
  bool take(Instant now);  // pays for one retry
  double balance() const { return saved_; }

 private:
  void earn_by_time(Instant now);

  double share_;
  double floor_per_second_;
  double saved_max_;
  double saved_;
  Instant earned_at_{};
};

RetryAnswer should_retry(const RetryQuestion& question, RetryBudget& budget, Rng& rng);

}  // namespace infermesh::health
