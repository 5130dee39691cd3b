#include "core/health/retry.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace infermesh::health {
namespace {

constexpr Instant kStart{1h};

Outcome failed(OutcomeKind kind, std::uint16_t status = 0) {
  Outcome outcome;
  outcome.kind = kind;
  outcome.status = status;
  return outcome;
}

struct RetryTest : testing::Test {
  RetryBudget budget{0.2};
  Rng rng{3};
};

TEST(Retryable, IsATableOfOutcomes) {
  const struct {
    OutcomeKind kind;
    std::uint16_t status;
    bool expected;
  } table[] = {
      {OutcomeKind::kOk, 200, false},          {OutcomeKind::kConnectFailed, 0, true},
      {OutcomeKind::kReset, 0, true},          {OutcomeKind::kBadResponse, 0, true},
      {OutcomeKind::kOverloaded, 429, true},   {OutcomeKind::kOverloaded, 503, true},
      {OutcomeKind::kEngineError, 500, false}, {OutcomeKind::kEngineError, 502, true},
      {OutcomeKind::kEngineError, 504, true},  {OutcomeKind::kClientError, 400, false},
      {OutcomeKind::kClientError, 404, true},  {OutcomeKind::kTimeout, 0, false},
      {OutcomeKind::kTruncated, 200, false},   {OutcomeKind::kCancelled, 0, false},
  };
  for (const auto& row : table) {
    EXPECT_EQ(retryable(row.kind, row.status), row.expected)
        << to_string(row.kind) << " " << row.status;
  }
}

TEST_F(RetryTest, RetriesAtOnceElsewhereThenWithGrowingJitter) {
  const Outcome outcome = failed(OutcomeKind::kConnectFailed);
  RetryQuestion question{.outcome = outcome, .attempts_max = 10, .now = kStart};
  EXPECT_EQ(should_retry(question, budget, rng).verdict, RetryVerdict::kRetry);
  EXPECT_EQ(retry_delay(question, rng), 0ns);
  for (std::uint32_t attempts = 2; attempts <= 9; ++attempts) {
    question.attempts = attempts;
    const Duration full = std::min<Duration>(10ms * (1 << (attempts - 1)), 1s);
    Duration least = 1h, most = 0s;
    for (int i = 0; i < 50; ++i) {
      const Duration delay = retry_delay(question, rng);
      least = std::min(least, delay);
      most = std::max(most, delay);
    }
    EXPECT_GE(least, full / 2) << attempts;
    EXPECT_LE(most, full) << attempts;
    EXPECT_GT(most - least, full / 4) << attempts << ": nobody comes back in step";
  }
}

TEST_F(RetryTest, NeverAfterTheFirstByteOrTheLastAttempt) {
  const Outcome outcome = failed(OutcomeKind::kReset);
  RetryQuestion question{.outcome = outcome, .first_byte_sent = true, .now = kStart};
  EXPECT_EQ(should_retry(question, budget, rng).verdict, RetryVerdict::kFirstByteSent);
  question.first_byte_sent = false;
  question.attempts = 3;
  EXPECT_EQ(should_retry(question, budget, rng).verdict, RetryVerdict::kAttemptsSpent);
}

TEST_F(RetryTest, HonoursRetryAfterWhenThereIsNoOtherEngineAndTheDeadlineAllows) {
  Outcome outcome = failed(OutcomeKind::kOverloaded, 429);
  outcome.retry_after = 2s;
  RetryQuestion question{.outcome = outcome, .now = kStart, .deadline = kStart + 5s};
  EXPECT_EQ(should_retry(question, budget, rng).delay, 0ns);
  question.elsewhere = Elsewhere::kNone;
  EXPECT_EQ(should_retry(question, budget, rng).delay, 2s);
  question.deadline = kStart + 1s;
  EXPECT_EQ(should_retry(question, budget, rng).verdict, RetryVerdict::kDeadline);
}

TEST_F(RetryTest, TheBudgetIsAShareOfTraffic) {
  const Outcome outcome = failed(OutcomeKind::kReset);
  const RetryQuestion question{.outcome = outcome, .now = kStart};
  int retries = 0;
  for (int i = 0; i < 1000; ++i) {
    budget.on_request(kStart);
    retries += should_retry(question, budget, rng).verdict == RetryVerdict::kRetry;
  }
  EXPECT_NEAR(retries, 210, 2);
  EXPECT_EQ(should_retry(question, budget, rng).verdict, RetryVerdict::kBudget);
}

TEST_F(RetryTest, AQuietPoolEarnsAFewRetriesByTimeButNoMore) {
  while (budget.take(kStart)) {
  }
  EXPECT_FALSE(budget.take(kStart + 1s));
  EXPECT_TRUE(budget.take(kStart + 3s));
  int retries = 0;
  while (budget.take(kStart + 2h)) ++retries;
  EXPECT_EQ(retries, 10);
}

}  // namespace
}  // namespace infermesh::health
