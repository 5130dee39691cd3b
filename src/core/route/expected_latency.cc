// expected_latency: the predicted time until the answer is complete,
// docs/design/0005-expected-latency.md.
//
//   queue    prompts ahead, own and others', at the engine's prefill pace, less what has been
//   worked off; and the wait
//            for one of the engine's slots where it has a fixed number
//   prefill  the uncached part of this prompt at that pace
//   decode   expected output tokens at the time per token with this many streams
#include <algorithm>

#include "core/route/pace.h"
#include "core/route/policy.h"
#include "core/route/route_state.h"

namespace infermesh::route {
namespace {

constexpr double kTypicalPrompt = 512;  // uncached tokens, until the model's own are known
constexpr double kHeadDone = 0.9;       // at most this share of the prompt in work counts as done
constexpr double kLateFrom = 2;  // a prompt this many times over its time shows a slower engine
constexpr double kLateMax = 8;
constexpr double kCourtesy = 0.25;  // weight of what the streams that run there lose by it

struct Others {
  double running = 0;
  double waiting = 0;
};

Others others_of(const Load& load, const PoolPace& pool) {
  const bool known = load.others_running >= 0;
  return known ? Others{double(load.others_running), double(load.others_waiting)}
               : Others{pool.others_running, pool.others_waiting};
}

double queue_seconds(const Load& load, const Pace& pace, const Others& others, double typical) {
  const double own_waiting = load.waiting();
  const double requests = own_waiting + others.waiting;
  const bool told = load.others_waiting > 0 && load.others_waiting_tokens >= Tokens(0);
  const double others_tokens =
      told ? static_cast<double>(load.others_waiting_tokens.value) : others.waiting * typical;
  const double tokens = static_cast<double>(load.prefill_ahead.value) + others_tokens;
  double seconds = requests * pace.overhead + tokens * pace.per_prompt_token;
  if (own_waiting > 0) {
    const double head = seconds / requests;
    const double elapsed = to_seconds(load.prefill_elapsed);
    // Late means slow: all that waits will take as much longer as the prompt in work already has.
    const double late = std::clamp(elapsed / std::max(1e-6, kLateFrom * head), 1.0, kLateMax);
    seconds = seconds * late - std::min(elapsed, kHeadDone * head);
  }
  return seconds + to_seconds(load.unseen_prefill);
}

double seconds_per_token(const Pace& pace, double other_streams) {
  return pace.per_output_token + pace.per_stream * other_streams;
}

// Engines with a fixed number of slots start a request only when an earlier one has finished.
double slot_seconds(const Candidate& candidate, const Pace& pace, double requests, double output) {
  const auto& slots = candidate.endpoint->concurrency_max;
  if (!slots || *slots == 0 || requests < *slots) return 0;
  const double stream = pace.overhead + output * seconds_per_token(pace, *slots - 1.0);
  return (requests - *slots + 1) * stream / *slots;
}

void predict(Candidate& candidate, const PoolPace& pool, const ScoreInput& input) {
  const Pace pace = pace_of(candidate, pool);
  const Load& load = candidate.load;
  const Others others = others_of(load, pool);
  const double typical = input.memory != nullptr && input.memory->uncached_tokens > 0
                             ? input.memory->uncached_tokens
                             : kTypicalPrompt;
  const double requests = load.in_flight + others.running + others.waiting;
  const double output = input.expected_output_tokens;
  const double slots = candidate.endpoint->concurrency_max.value_or(UINT32_MAX);
  candidate.slot_seconds = slot_seconds(candidate, pace, requests, output);
  candidate.queue_seconds = queue_seconds(load, pace, others, typical) + candidate.slot_seconds;
  candidate.prefill_seconds =
      pace.overhead + static_cast<double>(candidate.uncached.value) * pace.per_prompt_token;
  candidate.decode_seconds = output * seconds_per_token(pace, std::min(requests, slots - 1));
  const double beside = kCourtesy * std::min(requests, slots - 1);
  candidate.score = candidate.queue_seconds + candidate.prefill_seconds + candidate.decode_seconds +
                    beside * (candidate.prefill_seconds - pace.overhead + output * pace.per_stream);
}

void score(const ScoreInput& input) {
  const PoolPace pool = pool_pace(input.candidates);
  for (Candidate* candidate : input.candidates) predict(*candidate, pool, input);
}

// One word for the largest advantage over the mean of the others.
Reason reason(const ScoreInput& input, const Candidate& best) {
  double queue = 0, decode = 0, uncached = 0;
  for (const Candidate* candidate : input.candidates) {
    queue += candidate->queue_seconds - best.queue_seconds;
    decode += candidate->decode_seconds - best.decode_seconds;
    uncached += candidate->prefill_seconds - best.prefill_seconds;
  }
  const bool cached_most =
      std::all_of(input.candidates.begin(), input.candidates.end(),
                  [&](const Candidate* c) { return c->cached <= best.cached; });
  if (best.cached.value > 0 && cached_most && uncached > std::max(queue, decode)) {
    return Reason::kPrefixCached;
  }
  return queue >= std::max(decode, uncached) ? Reason::kLeastLoaded : Reason::kFastest;
}

}  // namespace

const Policy kExpectedLatency{score, reason};

}  // namespace infermesh::route
