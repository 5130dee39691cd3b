#include "core/route/pace.h"

#include <algorithm>
#include <cmath>

namespace infermesh::route {
namespace {

// Differences between engines below this share of the mean are taken for noise: answers are long,
// so a few percent of measuring error in the time per token would outweigh everything else and herd
// all requests to one engine.
constexpr double kNoise = 0.10;

double weight_of(const Candidate& candidate) {
  return std::max<std::uint32_t>(1, candidate.endpoint->weight) / 100.0;
}

double freshness(const Load& load) {
  if (load.rates_age < Duration(0)) return 0;
  return std::exp2(-to_seconds(load.rates_age) / to_seconds(kRatesFade));
}

// Adds one measured field to a weighted mean.
struct Mean {
  double sum = 0, weight = 0;

  void add(double value, double by) {
    if (value <= 0) return;
    sum += value * by;
    weight += by;
  }
  double or_else(double fallback) const { return weight > 0 ? sum / weight : fallback; }
};

double blend(double measured, double fresh, double assumed) {
  if (measured <= 0) return assumed;
  return fresh * measured + (1 - fresh) * assumed;
}

double calm(double value, double mean) {
  const double noise = kNoise * mean;
  if (value > mean + noise) return value - noise;
  if (value < mean - noise) return value + noise;
  return mean;
}

}  // namespace

PoolPace pool_pace(std::span<Candidate* const> candidates) {
  Mean overhead, prompt, output, stream, running, waiting;
  for (Candidate* candidate : candidates) {
    const Load& load = candidate->load;
    candidate->fresh = freshness(load);
    const double by = std::max(1e-9, candidate->fresh);
    const double weight = weight_of(*candidate);
    overhead.add(load.measured.overhead * weight, by);
    prompt.add(load.measured.per_prompt_token * weight, by);
    output.add(load.measured.per_output_token * weight, by);
    stream.add(load.measured.per_stream * weight, by);
    if (load.others_running >= 0) running.add(load.others_running + 1, 1);
    if (load.others_waiting >= 0) waiting.add(load.others_waiting + 1, 1);
  }
  PoolPace pool;
  pool.pace = {
      overhead.or_else(kDefaultPace.overhead), prompt.or_else(kDefaultPace.per_prompt_token),
      output.or_else(kDefaultPace.per_output_token), stream.or_else(kDefaultPace.per_stream)};
  pool.others_running = running.or_else(1) - 1;
  pool.others_waiting = waiting.or_else(1) - 1;
  return pool;
}

Pace pace_of(const Candidate& candidate, const PoolPace& pool) {
  const double weight = weight_of(candidate);
  const double fresh = candidate.fresh;
  const Pace& own = candidate.load.measured;
  const Pace& typical = pool.pace;
  Pace pace;
  pace.overhead = own.per_prompt_token > 0 ? blend(own.overhead, fresh, typical.overhead / weight)
                                           : typical.overhead / weight;
  pace.per_prompt_token =
      calm(blend(own.per_prompt_token, fresh, typical.per_prompt_token / weight),
           typical.per_prompt_token);
  // One engine's answers tell its level well and its slope badly; the slope's share of the level
  // is therefore the pool's. Levels are compared at the engine's own usual number of streams.
  const double streams = candidate.load.measured_at_streams - 1;
  const double typical_level = typical.per_output_token + typical.per_stream * streams;
  const double own_level =
      own.per_output_token > 0 ? own.per_output_token + own.per_stream * streams : 0;
  const double level = calm(blend(own_level, fresh, typical_level / weight), typical_level);
  const double speed = level / typical_level;
  pace.per_output_token = typical.per_output_token * speed;
  pace.per_stream = typical.per_stream * speed;
  return pace;
}

}  // namespace infermesh::route
