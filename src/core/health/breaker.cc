#include "core/health/breaker.h"

#include <algorithm>

namespace infermesh::health {
namespace {

std::int64_t second_of(Instant now) {
  return now.time_since_epoch() / 1s;
}

}  // namespace

void SlidingCounts::add(Instant now, std::uint32_t requests, std::uint32_t failures) {
  const std::int64_t second = second_of(now);
  Cell& cell = cells_[static_cast<std::size_t>(second % kCells)];
  if (cell.second != second) cell = Cell{second, 0, 0};
  cell.requests += requests;
  cell.failures += failures;
}

std::uint32_t SlidingCounts::requests(Instant now) const {
  std::uint32_t sum = 0;
  for (const Cell& cell : cells_) {
    if (cell.second > second_of(now) - kCells) sum += cell.requests;
  }
  return sum;
}

std::uint32_t SlidingCounts::failures(Instant now) const {
  std::uint32_t sum = 0;
  for (const Cell& cell : cells_) {
    if (cell.second > second_of(now) - kCells) sum += cell.failures;
  }
  return sum;
}

void Breaker::open(Instant now, const BreakerSettings& settings, Rng& rng) {
  if (state_ == State::kClosed && now - closed_at_ > settings.calm) openings_ = 0;
  const std::uint32_t doublings = std::min(openings_, 16U);
  const double seconds =
      std::min(to_seconds(settings.open_first) * static_cast<double>(1U << doublings),
               to_seconds(settings.open_max));
  ++openings_;
  state_ = State::kOpen;
  until_ = now + from_seconds(seconds * (0.8 + 0.4 * rng.unit()));
}

void Breaker::on_outcome(Instant now, const Outcome& outcome, const BreakerSettings& settings,
                         Rng& rng) {
  if (outcome.kind == OutcomeKind::kCancelled) return;
  const bool failed = is_failure(outcome.kind);
  if (state_ == State::kOpen) return;  // sent before it opened
  if (state_ == State::kHalfOpen) {
    if (!outcome.trial && outcome.sent_at < until_) return;
    if (failed) {
      ++in_a_row_;
      open(now, settings, rng);
      return;
    }
    state_ = State::kClosed;
    closed_at_ = now;
    in_a_row_ = 0;
    counts_.clear();
    return;
  }
  counts_.add(now, 1, failed ? 1 : 0);
  in_a_row_ = failed ? in_a_row_ + 1 : 0;
  const std::uint32_t requests = counts_.requests(now);
  const bool share = requests >= settings.window_requests_min &&
                     counts_.failures(now) >= settings.failure_share * requests;
  if (failed && (in_a_row_ >= settings.failures_in_a_row || share)) open(now, settings, rng);
}

void Breaker::on_deadline(Instant now) {
  if (state_ == State::kOpen && now >= until_) state_ = State::kHalfOpen;
}

}  // namespace infermesh::health
