#include "core/route/filter.h"

#include <algorithm>

namespace infermesh::route {
namespace {

// A prompt's token count is a guess from its bytes; only one far over the limit is kept away, for
// an engine with more room. When no engine has, the engine's own words about it are the better
// answer.
bool too_long(const Endpoint& endpoint, const FilterInput& input) {
  const auto room = [&](const Endpoint& at) {
    for (const ServedModel& served : at.models) {
      if (served.name == input.model.served_name && served.context_max) return *served.context_max;
    }
    return input.model.context_max.value_or(Tokens(INT64_MAX));
  };
  const Tokens mine = room(endpoint);
  if (input.facts.prompt_tokens <= mine) return false;
  return std::any_of(input.model.endpoints.begin(), input.model.endpoints.end(),
                     [&](EndpointId id) {
                       const Endpoint* other = input.view.endpoint(id);
                       return other != nullptr && other->state == EndpointState::kReady &&
                              other->apis.contains(input.facts.api) && room(*other) > mine;
                     });
}

bool trial_pending(const RouteState& state, EndpointId id, std::uint64_t model_key, Instant now) {
  return std::any_of(state.trials.begin(), state.trials.end(), [&](const TrialMemory& trial) {
    return trial.endpoint == id && trial.model_key == model_key && now - trial.at < kTrialPause;
  });
}

Rejection judge(const FilterInput& input, Candidate& candidate) {
  const Endpoint& endpoint = *candidate.endpoint;
  if (!endpoint.apis.contains(input.facts.api)) return Rejection::kApi;
  switch (endpoint.state) {
    case EndpointState::kJoining:
    case EndpointState::kDown:
      return Rejection::kNotReady;
    case EndpointState::kDraining:
      return Rejection::kDraining;
    case EndpointState::kSuspect:
      candidate.suspect = true;
      break;
    case EndpointState::kReady:
      break;
  }
  if (too_long(endpoint, input)) return Rejection::kTooLong;
  const bool full = static_cast<std::uint32_t>(candidate.load.in_flight) >= endpoint.in_flight_max;
  if (const Ejection* ejection = input.view.find_ejection(endpoint.id, input.model.id)) {
    if (!ejection->half_open || full) return Rejection::kEjected;
    candidate.half_open = true;
  }
  if (full) return Rejection::kFull;
  const bool tried =
      std::find(input.tried.begin(), input.tried.end(), endpoint.id) != input.tried.end();
  return tried ? Rejection::kTried : Rejection::kNone;
}

// Among many endpoints each load cell is a few cache misses of its own.
constexpr std::size_t kAhead = 4;

void prefetch(const LoadCell& cell) {
  constexpr std::size_t kLine = 64;
  const char* const begin = reinterpret_cast<const char*>(&cell);
  for (std::size_t at = 0; at < sizeof cell; at += kLine) __builtin_prefetch(begin + at);
}

template <typename Condition>
bool take(RouteState& state, Condition condition) {
  for (Candidate& candidate : state.candidates) {
    if (condition(candidate)) state.eligible.push_back(&candidate);
  }
  return !state.eligible.empty();
}

}  // namespace

Field filter(const FilterInput& input, std::uint64_t model_key, RouteState& state) {
  state.candidates.clear();
  state.eligible.clear();
  for (std::size_t i = 0; i < input.model.endpoints.size(); ++i) {
    const EndpointId id = input.model.endpoints[i];
    if (i + kAhead < input.model.endpoints.size()) {
      prefetch(input.load.at(input.model.endpoints[i + kAhead]));
    }
    const Endpoint* endpoint = input.view.endpoint(id);
    if (endpoint == nullptr || input.facts.pinned.value_or(id) != id) continue;
    Candidate& candidate = state.candidates.emplace_back();
    candidate.endpoint = endpoint;
    candidate.load = read_load(input.load.at(id), input.now);
    candidate.rejection = judge(input, candidate);
    if (candidate.half_open && trial_pending(state, id, model_key, input.now)) {
      candidate.half_open = false;
      candidate.rejection = Rejection::kEjected;
    }
  }
  const auto usable = [](const Candidate& c) { return c.rejection == Rejection::kNone; };
  if (take(state, [&](const Candidate& c) { return usable(c) && !c.suspect; })) {
    for (Candidate& candidate : state.candidates) {
      if (usable(candidate) && candidate.suspect) candidate.rejection = Rejection::kNotReady;
    }
    return Field::kReady;
  }
  if (take(state, usable)) return Field::kSuspect;
  const bool full = std::any_of(state.candidates.begin(), state.candidates.end(),
                                [](const Candidate& c) { return c.rejection == Rejection::kFull; });
  if (full) return Field::kFull;
  const auto tried = [](const Candidate& c) { return c.rejection == Rejection::kTried; };
  if (take(state, tried)) return Field::kTried;
  const auto ejected = [](const Candidate& c) {
    return c.rejection == Rejection::kEjected &&
           static_cast<std::uint32_t>(c.load.in_flight) < c.endpoint->in_flight_max;
  };
  if (take(state, ejected)) return Field::kEjected;
  const bool mute = !state.candidates.empty() &&
                    std::all_of(state.candidates.begin(), state.candidates.end(),
                                [](const Candidate& c) { return c.rejection == Rejection::kApi; });
  return mute ? Field::kApi : Field::kNobody;
}

}  // namespace infermesh::route
