#include "data/exchange/routing.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "core/health/retry.h"
#include "core/route/learn.h"
#include "core/route/pipeline.h"
#include "data/exchange/errors.h"

namespace infermesh::data {

Routing::Routing(Shard& on, Waiter& with, const RequestStart& start)
    : view(on.view), shard_(on), waiter_(with) {
  record.request_id = start.request_id;
  record.received = start.received_wall;
}

void Routing::settle(Outcome& outcome, Ended ended) {
  const Instant now = shard_.loop.now();
  outcome.total = now - outcome.sent_at;
  ended.in_flight.describe(outcome);
  ended.in_flight.finish(now);
  route::learn(outcome, ended.decision, shard_.loads, shard_.route_state, now);
  shard_.report_outcome(outcome);
  shard_.admission.freed(pool->id);
  AttemptRecord& attempt = record.attempts.back();
  attempt.decision = std::move(ended.decision);
  attempt.outcome = outcome;
  attempt.error = std::move(ended.error);
}

port::Task<Step<Decision>> Routing::next_decision(std::span<const EndpointId> tried) {
  const Instant queue_deadline = shard_.loop.now() + pool->spec.queue_timeout;
  Admission::Ticket ticket(shard_.admission, waiter_.wake);
  while (true) {
    const bool my_turn = ticket.granted() || !shard_.admission.has_waiting(pool->id);
    Decision decision;
    decision.wait = true;
    decision.policy = route::policy_for(*view, *model).policy;
    if (my_turn) {
      view = shard_.view;
      model = view->find_model(facts.model);
      if (model == nullptr) co_return stop(unknown_model(*view, facts.model));
      pool = &view->pools[model->pool.value];
      decision = route::decide({*view, shard_.loads, &shard_.prefixes, *model, facts, tried},
                               shard_.route_state, shard_.rng, shard_.loop.now());
      if (decision.endpoint) {
        record.undecided.reset();
        shard_.meter.decided(pool->spec.name, decision);
        co_return decision;
      }
      note_names(decision);
    }
    if (my_turn || !record.undecided) record.undecided = decision;
    if (!decision.wait) co_return stop(no_engine(*view, *model, decision, tried));
    const auto entered =
        ticket.enter(*pool, *model, facts.priority, std::min(queue_deadline, facts.deadline));
    if (!entered) {
      shard_.meter.shed(pool->spec.name, entered.error().code);
      co_return stop(entered.error());
    }
    if (queued_since_ == kNever) queued_since_ = shard_.loop.now();
    waiter_.phase_deadline = std::min(queue_deadline, facts.deadline);
    waiter_.watch_client = true;
    while (!ticket.granted() && !ticket.shed()) {
      const auto woken = co_await wait();
      if (!woken) co_return std::unexpected(woken.error());
      if (*woken == Wake::kPhaseDeadline) {
        shard_.meter.shed(pool->spec.name, ErrorCode::kQueueDeadline);
        co_return stop({ErrorCode::kQueueDeadline,
                        fmt::format("All engines of pool {} stayed busy for {}.", pool->spec.name,
                                    human_duration(pool->spec.queue_timeout)),
                        {}});
      }
    }
    if (ticket.shed()) {
      shard_.meter.shed(pool->spec.name, ErrorCode::kShed);
      co_return stop(
          {ErrorCode::kShed, "A request of higher priority took the place in the queue.", {}});
    }
  }
}

// The engines that a decision speaks of, as they are called now.
void Routing::note_names(const Decision& decision) {
  auto& names = record.engine_names;
  names.reserve(names.size() + decision.notes.size());
  for (const CandidateNote& note : decision.notes) {
    const bool known = std::any_of(names.begin(), names.end(),
                                   [&](const auto& name) { return name.first == note.endpoint; });
    const Endpoint* noted = view->endpoint(note.endpoint);
    if (!known && noted != nullptr) names.emplace_back(note.endpoint, noted->name);
  }
}

// No engine was named: how the wait for one ended.
void Routing::note_undecided(const Stop& why) {
  if (!record.undecided) return;
  record.undecided->wait = false;
  record.undecided->refusal = why.code();
}

port::Task<Step<>> Routing::pause(Duration duration) {
  waiter_.phase_deadline = shard_.loop.now() + duration;
  waiter_.watch_client = true;
  while (true) {
    const auto woken = co_await wait();
    if (!woken) co_return std::unexpected(woken.error());
    if (*woken == Wake::kPhaseDeadline) co_return Step<>{};
  }
}

// How long to wait before another try; nothing when there is to be none. `tried` has the failed
// engine last.
std::optional<Duration> Routing::retry_delay(const Outcome& outcome,
                                             std::vector<EndpointId>& tried) {
  const bool elsewhere =
      std::any_of(model->endpoints.begin(), model->endpoints.end(), [&](EndpointId id) {
        const Endpoint* other = view->endpoint(id);
        const bool usable =
            other != nullptr && other->apis.contains(facts.api) &&
            facts.pinned.value_or(id) == id &&
            (other->state == EndpointState::kReady || other->state == EndpointState::kSuspect);
        const Ejection* ejection = view->find_ejection(id, model->id);
        const bool out = ejection != nullptr && !ejection->half_open;
        return usable && !out && std::find(tried.begin(), tried.end(), id) == tried.end();
      });
  const health::RetryQuestion question{
      .outcome = outcome,
      .attempts = static_cast<std::uint32_t>(record.attempts.size()),
      .attempts_max = pool->spec.attempts_max,
      .body_held = request_held(),
      .now = shard_.loop.now(),
      .deadline = waiter_.total_deadline,
      .elsewhere = elsewhere ? health::Elsewhere::kAvailable : health::Elsewhere::kNone};
  const auto answer = health::should_retry(question, shard_.retry_budget(*pool), shard_.rng);
  record.attempts.back().retry = health::to_string(answer.verdict);
  if (answer.verdict == health::RetryVerdict::kBudget) shard_.meter.retry_refused();
  if (answer.verdict != health::RetryVerdict::kRetry) return std::nullopt;
  if (!elsewhere) tried.clear();  // the same engine again is better than none
  return answer.delay;
}

}  // namespace infermesh::data
