#include "core/route/pipeline.h"

#include <algorithm>
#include <cmath>

#include "base/assert.h"
#include "base/text.h"
#include "core/route/filter.h"
#include "core/route/least_request.h"
#include "core/route/pace.h"
#include "core/route/policy.h"

namespace infermesh::route {
namespace {

constexpr Duration kSignalsLost =
    15s;  // reports and rates older than this on every endpoint: trust none

double expected_output(const DecideInput& input, const ModelMemory* memory) {
  if (!generates(input.facts.api)) return 0;
  double tokens = input.model.expected_output_tokens;
  if (memory != nullptr && memory->output_tokens > 0) tokens = memory->output_tokens;
  if (input.facts.output_tokens_max) {
    tokens = std::min(tokens, static_cast<double>(input.facts.output_tokens_max->value));
  }
  return std::max(0.0, tokens);
}

// Tokens of the prompt's first `held` blocks. The blocks cover the prompt but for a part of the
// last; of a prompt with more blocks than are kept the share is smaller, never larger, than it
// should be.
Tokens tokens_of_blocks(const RequestFacts& facts, std::uint32_t held) {
  if (held == 0 || facts.blocks.empty()) return Tokens(0);
  const double per_block = static_cast<double>(facts.prompt_tokens.value) /
                           (static_cast<double>(facts.blocks.size()) + 0.5);
  return Tokens(static_cast<std::int64_t>(per_block * held));
}

void match_prefix(const DecideInput& input, RouteState& state, Instant now) {
  state.ids.clear();
  for (const Candidate* candidate : state.eligible) state.ids.push_back(candidate->id());
  state.cached_blocks.resize(state.ids.size());
  if (input.prefix != nullptr) {
    input.prefix->match(input.facts.blocks, state.ids, now, state.cached_blocks);
  } else {
    std::fill(state.cached_blocks.begin(), state.cached_blocks.end(), 0);
  }
  for (std::size_t i = 0; i < state.eligible.size(); ++i) {
    Candidate& candidate = *state.eligible[i];
    const Tokens believed = tokens_of_blocks(input.facts, state.cached_blocks[i]);
    const double trusted = static_cast<double>(believed.value) * candidate.load.prefix_trust;
    candidate.cached = Tokens(static_cast<std::int64_t>(trusted));
    candidate.uncached = input.facts.prompt_tokens - candidate.cached;
  }
}

// Signals existed and have stopped, everywhere. Nothing known yet is another matter: the policies
// cope with that.
bool signals_lost(const RouteState& state) {
  return std::all_of(state.eligible.begin(), state.eligible.end(), [](const Candidate* c) {
    return c->load.load_age > kSignalsLost &&
           (c->load.rates_age < Duration(0) || c->load.rates_age > kRatesFade);
  });
}

bool uses_signals(PolicyKind kind) {
  return kind == PolicyKind::kExpectedLatency;
}

Candidate* best_of(const RouteState& state) {
  return *std::min_element(state.eligible.begin(), state.eligible.end(),
                           [](const Candidate* a, const Candidate* b) {
                             return std::pair(a->score, a->id()) < std::pair(b->score, b->id());
                           });
}

// Since when and why it is out, or is only taken for want of a better one.
void tell_state(const Candidate& candidate, const DecideInput& input, Instant now,
                CandidateNote& note) {
  const Endpoint& endpoint = *candidate.endpoint;
  note.state = endpoint.state;
  const auto tell = [&](const std::string& reason, Instant since) {
    note.out_reason = reason;
    note.out_for = std::max(Duration(0), now - since);
  };
  const Ejection* ejection = input.view.find_ejection(endpoint.id, input.model.id);
  const bool ready = endpoint.state == EndpointState::kReady;
  if (ejection != nullptr && (ready || candidate.rejection == Rejection::kEjected)) {
    tell(ejection->reason, ejection->since);
  } else if (!ready) {
    tell(endpoint.state_reason, endpoint.state_since);
  }
}

void write_note(const Candidate& candidate, const DecideInput& input, Instant now,
                CandidateNote& note) {
  note.out_reason.clear();
  note.out_for = Duration(-1);
  note.endpoint = candidate.id();
  tell_state(candidate, input, now, note);
  note.rejection = candidate.rejection;
  note.score = candidate.score;
  note.in_flight = candidate.load.in_flight;
  note.reported_waiting = candidate.load.reported_waiting;
  note.tokens_ahead = candidate.load.prefill_ahead;
  note.cached_tokens = candidate.cached;
  note.queue_seconds = candidate.queue_seconds;
  note.slot_seconds = candidate.slot_seconds;
  note.prefill_seconds = candidate.prefill_seconds;
  note.decode_seconds = candidate.decode_seconds;
  note.load_age = candidate.load.load_age;
  note.rates_age = candidate.load.rates_age;
}

// The chosen one, the others by score, then the rejected ones, as far as they fit.
void write_notes(const DecideInput& input, Instant now, RouteState& state, const Candidate* chosen,
                 Decision& decision) {
  const std::size_t scored = std::min(state.eligible.size(), kCandidatesNotedMax);
  const std::size_t noted = std::min(state.candidates.size(), kCandidatesNotedMax);
  const auto better = [&](const Candidate* a, const Candidate* b) {
    return std::tuple(a != chosen, a->score, a->id()) < std::tuple(b != chosen, b->score, b->id());
  };
  const auto best_end = state.eligible.begin() + static_cast<std::ptrdiff_t>(scored);
  if (best_end != state.eligible.end()) {
    std::nth_element(state.eligible.begin(), best_end, state.eligible.end(), better);
  }
  std::sort(state.eligible.begin(), best_end, better);
  auto& notes = decision.notes;
  notes.resize(noted);
  for (std::size_t i = 0; i < scored; ++i) write_note(*state.eligible[i], input, now, notes[i]);
  std::size_t count = scored;
  for (const Candidate& candidate : state.candidates) {
    if (count == noted) return;
    const bool told =
        std::find(state.eligible.begin(), state.eligible.end(), &candidate) != state.eligible.end();
    if (!told) write_note(candidate, input, now, notes[count++]);
  }
}

Reason score_by_policy(const ScoreInput& input, const RouteState& state) {
  const Policy& policy = policy_of(input.policy.policy);
  policy.score(input);
  if (state.eligible.size() == 1) return Reason::kOnlyOne;
  return policy.reason(input, *best_of(state));
}

Reason score_by_load(RouteState& state) {
  for (Candidate* candidate : state.eligible) candidate->score = requests_per_weight(*candidate);
  return Reason::kFallback;
}

// A half-open endpoint gets its one trial before all else, unless this request has already failed
// somewhere.
Candidate* trial_of(const DecideInput& input, const RouteState& state) {
  if (!input.tried.empty() || state.trials.size() >= kTrialsMax) return nullptr;
  const auto found = std::find_if(state.eligible.begin(), state.eligible.end(),
                                  [](const Candidate* c) { return c->half_open; });
  return found == state.eligible.end() ? nullptr : *found;
}

void remember(const Candidate& chosen, Decision& decision, RouteState& state, Instant now) {
  if (ModelMemory* memory = state.model(decision.model_key))
    memory->last_chosen = chosen.id().value;
  if (!chosen.half_open) return;
  decision.trial = true;
  state.trials.push_back({chosen.id(), decision.model_key, now});
}

void refuse(Field field, const RouteState& state, Decision& decision) {
  decision.wait = field == Field::kFull;
  decision.refusal = decision.wait          ? ErrorCode::kQueueFull
                     : field == Field::kApi ? ErrorCode::kApiNotServed
                                            : ErrorCode::kNoHealthyBackend;
  decision.candidates_total = static_cast<std::uint16_t>(state.candidates.size());
}

}  // namespace

const RoutingPolicyObject& policy_for(const MeshView& view, const Model& model) {
  if (model.policy) return *model.policy;
  IM_ASSERT(model.pool.value < view.pools.size());
  return view.pools[model.pool.value].policy;
}

Decision decide(const DecideInput& input, RouteState& state, Rng& rng, Instant now) {
  Decision decision;
  decide(input, state, rng, now, decision);
  return decision;
}

void decide(const DecideInput& input, RouteState& state, Rng& rng, Instant now,
            Decision& decision) {
  const RoutingPolicyObject& policy = policy_for(input.view, input.model);
  auto notes = std::move(decision.notes);  // for their memory
  decision = {};
  decision.notes = std::move(notes);
  decision.policy = policy.policy;
  decision.model_key = name_hash(input.model.name);
  const FilterInput filter_input{input.view,  input.load,  input.model,
                                 input.facts, input.tried, now};
  std::erase_if(state.trials, [&](const TrialMemory& t) { return now - t.at >= kTrialPause; });
  const Field field = filter(filter_input, decision.model_key, state);
  refuse(field, state, decision);
  if (state.eligible.empty()) {
    write_notes(input, now, state, nullptr, decision);
    return;
  }
  const ModelMemory* memory = state.model(decision.model_key);
  decision.expected_output_tokens = expected_output(input, memory);
  match_prefix(input, state, now);
  const ScoreInput score_input{
      state.eligible, input.facts, policy, memory, decision.expected_output_tokens, rng};
  const bool fallback =
      field == Field::kEjected || (uses_signals(policy.policy) && signals_lost(state));
  decision.reason = fallback ? score_by_load(state) : score_by_policy(score_input, state);
  Candidate* chosen = trial_of(input, state);
  if (chosen != nullptr) {
    decision.reason = Reason::kTrial;
  } else {
    chosen = best_of(state);
  }
  decision.endpoint = chosen->id();
  decision.cached_tokens = chosen->cached;
  decision.uncached_tokens = chosen->uncached;
  decision.predicted_ttft_seconds = chosen->queue_seconds + chosen->prefill_seconds;
  remember(*chosen, decision, state, now);
  write_notes(input, now, state, chosen, decision);
}

}  // namespace infermesh::route
