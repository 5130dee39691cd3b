#include "core/route/learn.h"

#include <algorithm>
#include <cmath>

#include "core/route/line_fit.h"
#include "core/route/pace.h"

namespace infermesh::route {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr double kPrefillLevelShare = 0.2;    // overhead's share of a prefill, until observed
constexpr double kDecodeLevelShare = 0.8;     // share of a step that does not grow with the streams
constexpr double kDecodeOwnMin = 0.2;         // least share of an answer's time that was its own
constexpr std::int64_t kOutputTokensMin = 8;  // shorter answers say little about the time per token
constexpr double kModelMemory = 50;           // outcomes that a model's typical lengths are made of
constexpr double kIndexedMin = 64;            // tokens; less says little about trust
constexpr double kTrustMin = 0.05;

double uncached_as_served(const Outcome& outcome, const Decision& decision) {
  const auto believed = static_cast<double>(outcome.uncached_prompt_tokens.value);
  if (!outcome.cached_tokens || !outcome.prompt_tokens || outcome.prompt_tokens->value <= 0)
    return believed;
  // In the router's own estimate of tokens, which is what decisions are made in.
  const auto total = believed + static_cast<double>(decision.cached_tokens.value);
  const double share = static_cast<double>(outcome.cached_tokens->value) /
                       static_cast<double>(outcome.prompt_tokens->value);
  return std::max(1.0, total * (1 - std::clamp(share, 0.0, 1.0)));
}

void publish_decode(LoadCell& cell) {
  const Line line = fit_line(cell.decode_line, kDecodeLevelShare);
  const double factor = pace_factor(cell.decode_line);
  cell.seconds_per_token.store(line.at(1) * factor, kRelaxed);
  cell.seconds_per_token_per_stream.store(line.slope * factor, kRelaxed);
}

// Streams beside this one: the mean of those at its start and those at its end, and itself.
double streams_during(const Outcome& outcome, const LoadCell& cell) {
  const int at_end = std::max(1, cell.streams.load(kRelaxed));
  return 0.5 * (std::max(0, outcome.streams_at_start) + 1 + at_end);
}

// Observes the decode pace. True when there was something to observe.
bool learn_decode(const Outcome& outcome, double prefill_seconds, LoadCell& cell) {
  if (!outcome.output_tokens || outcome.output_tokens->value < kOutputTokensMin) return false;
  const double seconds = outcome.streamed ? to_seconds(outcome.total - outcome.first_byte)
                                          : to_seconds(outcome.total) - prefill_seconds;
  const auto tokens =
      static_cast<double>(outcome.output_tokens->value - (outcome.streamed ? 1 : 0));
  if (seconds <= 0) return false;
  // What others' prompts took of the engine meanwhile is no property of its decoding, and would
  // pass for a cost of the streams that happened to run.
  const double rate = cell.prefill_tokens_per_second.load(kRelaxed);
  const double beside = rate > 0 ? static_cast<double>(outcome.prefill_beside.value) / rate : 0;
  const double own = std::max(seconds - beside, kDecodeOwnMin * seconds);
  observe(cell.decode_line, streams_during(outcome, cell), own / tokens, kDecodeLevelShare);
  publish_decode(cell);
  return true;
}

void learn_trust(const Outcome& outcome, const Decision& decision, LoadCell& cell) {
  if (!outcome.cached_tokens || !outcome.prompt_tokens || outcome.prompt_tokens->value <= 0) return;
  const double trust = std::max(kTrustMin, static_cast<double>(cell.prefix_trust.load(kRelaxed)));
  // What the index said: the decision carries it already multiplied by the trust.
  const double indexed = static_cast<double>(decision.cached_tokens.value) / trust;
  if (indexed < kIndexedMin) return;
  const double prompt =
      static_cast<double>((decision.cached_tokens + decision.uncached_tokens).value);
  const double served = static_cast<double>(outcome.cached_tokens->value) /
                        static_cast<double>(outcome.prompt_tokens->value);
  const double seen = std::clamp(served / std::min(1.0, indexed / prompt), kTrustMin, 1.0);
  cell.prefix_trust.store(static_cast<float>(trust + 0.2 * (seen - trust)), kRelaxed);
}

void remember(double& typical, double value) {
  typical = typical <= 0 ? value : typical + (value - typical) / kModelMemory;
}

}  // namespace

void learn_prefill(LoadCell& cell, Tokens uncached, Duration service, Instant now) {
  const double tokens = std::max(1.0, static_cast<double>(uncached.value));
  if (!observe_batch(cell.prefill_line, tokens, to_seconds(service), kPrefillLevelShare)) return;
  const Line line = fit_line(cell.prefill_line, kPrefillLevelShare);
  if (line.at(1) <= 0) return;
  const double factor = pace_factor(cell.prefill_line);
  cell.prefill_tokens_per_second.store(1 / std::max(1e-7, line.slope * factor), kRelaxed);
  cell.overhead_seconds.store(line.intercept * factor, kRelaxed);
  cell.rates_at_ns.store(now.time_since_epoch().count(), kRelaxed);
}

void learn(const Outcome& outcome, const Decision& decision, LoadTable& load, RouteState& state,
           Instant now) {
  LoadCell& cell = load.at(outcome.endpoint);
  cell.requests.fetch_add(1, kRelaxed);
  if (is_failure(outcome.kind)) cell.failures.fetch_add(1, kRelaxed);
  if (outcome.kind != OutcomeKind::kOk || !outcome.prompt_read) return;
  const double queue_and_prefill = decision.predicted_ttft_seconds;
  if (learn_decode(outcome, queue_and_prefill, cell)) {
    cell.rates_at_ns.store(now.time_since_epoch().count(), kRelaxed);
  }
  learn_trust(outcome, decision, cell);
  if (ModelMemory* memory = state.model(decision.model_key)) {
    if (outcome.output_tokens) {
      remember(memory->output_tokens, static_cast<double>(outcome.output_tokens->value));
    }
    remember(memory->uncached_tokens, std::max(1.0, uncached_as_served(outcome, decision)));
  }
}

}  // namespace infermesh::route
