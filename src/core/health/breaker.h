// Breaker: lets requests through to one (endpoint, model) pair or not. Closed counts failures; too
// many in a row or too large a share of the last ten seconds opens it; open waits a growing,
// jittered time; half-open lets one trial pass (route picks it) and closes or opens again by its
// outcome. Without a clock; owned by the Ejector.
#pragma once

#include <array>
#include <cstdint>

#include "base/rng.h"
#include "base/time.h"
#include "core/model/decision.h"

namespace infermesh::health {

struct BreakerSettings {
  std::uint32_t failures_in_a_row = 5;
  double failure_share = 0.5;              // of the window ...
  std::uint32_t window_requests_min = 20;  // ... when it holds at least this many
  Duration open_first = 1s;                // doubled by each failed trial, +-20 %
  Duration open_max = 60s;
  Duration calm = 60s;  // closed this long: the next opening starts from open_first
};

// Requests and failures of the last ten seconds, in one-second cells.
class SlidingCounts {
 public:
  void add(Instant now, std::uint32_t requests, std::uint32_t failures);
  std::uint32_t requests(Instant now) const;
  std::uint32_t failures(Instant now) const;
  void clear() { cells_ = {}; }

 private:
  struct Cell {
    std::int64_t second = -1;
    std::uint32_t requests = 0;
    std::uint32_t failures = 0;
  };
  static constexpr std::int64_t kCells = 10;
  std::array<Cell, kCells> cells_{};
};

class Breaker {
 public:
  enum class State : std::uint8_t { kClosed, kOpen, kHalfOpen };

  void on_outcome(Instant now, const Outcome& outcome, const BreakerSettings& settings, Rng& rng);
  void on_deadline(Instant now);

  State state() const { return state_; }
  Instant open_until() const { return until_; }  // while open
  std::uint32_t failures_in_a_row() const { return in_a_row_; }
  const SlidingCounts& counts() const { return counts_; }

 private:
  void open(Instant now, const BreakerSettings& settings, Rng& rng);

  State state_ = State::kClosed;
  SlidingCounts counts_;
  std::uint32_t in_a_row_ = 0;
  std::uint32_t openings_ = 0;  // without calm between them
  Instant until_{};
  Instant closed_at_{};
};

}  // namespace infermesh::health
