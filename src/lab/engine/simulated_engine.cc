#include "lab/engine/simulated_engine.h"

#include <utility>

namespace infermesh::lab {

using engine::EngineEvent;
using engine::EventKind;

SimulatedEngine::SimulatedEngine(port::Loop& loop, engine::EngineProfile profile)
    : loop_(loop), engine_(std::move(profile)) {}

port::Task<void> SimulatedEngine::drive() {
  while (!stopped_) {
    if (engine_.next_deadline() == kNever) {
      co_await work_.wait();
    } else {
      // Nothing that arrives meanwhile changes when the running step ends.
      co_await loop_.sleep_until(engine_.next_deadline());
    }
    engine_.on_deadline(loop_.now());
    dispatch();
  }
}

void SimulatedEngine::stop() {
  stopped_ = true;
  work_.set();
}

SimulatedEngine::Submitted SimulatedEngine::submit(GenerationSpec spec, TokenSink& sink) {
  const engine::RequestId id(++last_id_);
  const Instant now = loop_.now();
  Request request;
  request.sink = &sink;
  request.submitted = now;
  request.prompt_tokens = spec.prompt_tokens;
  request.ends_with = spec.ends_with;
  requests_.emplace(id, request);
  const auto outcome =
      engine_.submit(now, {id, std::move(spec.blocks), spec.prompt_tokens, spec.output_tokens});
  if (outcome != engine::Submission::kAccepted) {
    requests_.erase(id);
    if (outcome == engine::Submission::kQueueFull) ++metrics_.rejected;
    return {outcome, id};
  }
  work_.set();
  return {outcome, id};
}

void SimulatedEngine::cancel(engine::RequestId id) {
  const auto found = requests_.find(id);
  if (found == requests_.end()) return;
  found->second.sink = nullptr;
  if (!engine_.cancel(loop_.now(), id)) return;  // ended this moment: dispatch() accounts for it
  ++metrics_.finished[static_cast<std::size_t>(FinishReason::kAbort)];
  requests_.erase(found);
}

engine::EngineStats SimulatedEngine::stats() {
  engine_.on_deadline(loop_.now());
  return engine_.stats();
}

void SimulatedEngine::dispatch() {
  for (const EngineEvent& event : engine_.take_output()) {
    const auto found = requests_.find(event.id);
    if (found == requests_.end()) continue;  // cancelled after the event
    account(found->second, event);
    TokenSink* sink = found->second.sink;
    if (event.kind == EventKind::kFinished) requests_.erase(found);
    if (sink != nullptr) sink->on_event(event);
  }
}

void SimulatedEngine::account(Request& request, const EngineEvent& event) {
  switch (event.kind) {
    case EventKind::kScheduled:
      request.scheduled = event.at;
      metrics_.queue_time.observe(to_seconds(event.at - request.submitted));
      break;
    case EventKind::kFirstToken:
      request.first = request.last = event.at;
      request.produced = 1;
      metrics_.time_to_first_token.observe(to_seconds(event.at - request.submitted));
      metrics_.prefill_time.observe(to_seconds(event.at - request.scheduled));
      break;
    case EventKind::kToken:
      metrics_.inter_token.observe(to_seconds(event.at - std::exchange(request.last, event.at)));
      ++request.produced;
      break;
    case EventKind::kPreempted:
      break;
    case EventKind::kFinished:
      account_end(request, event.at);
      break;
  }
}

void SimulatedEngine::account_end(const Request& request, Instant at) {
  ++metrics_.finished[static_cast<std::size_t>(request.ends_with)];
  metrics_.e2e.observe(to_seconds(at - request.submitted));
  metrics_.inference_time.observe(to_seconds(at - request.scheduled));
  metrics_.prompt_tokens.observe(static_cast<double>(request.prompt_tokens.value));
  metrics_.generation_tokens.observe(static_cast<double>(request.produced));
  if (request.produced == 0) return;
  metrics_.decode_time.observe(to_seconds(at - request.first));
  if (request.produced > 1) {
    metrics_.time_per_output_token.observe(to_seconds(at - request.first) /
                                           static_cast<double>(request.produced - 1));
  }
}

}  // namespace infermesh::lab
