// Pace of each candidate: measured where it is fresh, else that of the pool's other engines, else a
// common default, each scaled by the engine's weight. An old measurement fades towards the pool's,
// so one bad reading cannot starve an engine for ever: in time it looks average and is tried again.
#pragma once

#include <span>

#include "core/route/candidate.h"

namespace infermesh::route {

constexpr Pace kDefaultPace{0.010, 1.0 / 8000, 0.015, 0.0003};
constexpr Duration kRatesFade =
    60s;  // after this the pool's pace weighs as much as the measured one

// What is common to the candidates of one decision.
struct PoolPace {
  Pace pace;  // of an engine of weight 100
  double others_running =
      0;  // mean of those that report; stands in where a report is missing or stale
  double others_waiting = 0;
};

PoolPace pool_pace(std::span<Candidate* const> candidates);  // sets `fresh` of each
Pace pace_of(const Candidate& candidate, const PoolPace& pool);

}  // namespace infermesh::route
