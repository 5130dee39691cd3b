// Routing: how a request comes to an engine, whichever protocol carries it: what it is, the model
// and the pool that it names, the decision or the wait for one, and whether to try again elsewhere.
// What was decided is kept in its record. Of one request, on its shard.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/model/decision.h"
#include "core/route/in_flight.h"
#include "data/exchange/request.h"
#include "data/exchange/step.h"

namespace infermesh::data {

class Routing {
 public:
  Routing(Shard& on, Waiter& with, const RequestStart& start);
  Routing(const Routing&) = delete;
  Routing& operator=(const Routing&) = delete;
  virtual ~Routing() = default;

  // Waits for progress; answers only kProgress and kPhaseDeadline.
  virtual port::Task<Step<Wake>> wait() = 0;
  // All of the request that has been sent can be sent again.
  virtual bool request_held() const = 0;
  // Tries engines, one after the other, by one Attempt each, which says in run() what became of it.
  // Nothing: the request has its answer. A failure: the last one, after which no other try is due.
  template <typename Attempt, typename Request>
  port::Task<Step<typename Attempt::Failure>> try_engines(Request& request);
  // An attempt is over: tells routing, health and admission, and keeps it in the record.
  struct Ended {
    Decision decision;
    route::InFlight& in_flight;
    std::string error;
  };
  void settle(Outcome& outcome, Ended ended);
  // The next engine; waits in the pool's queue when all are full.
  port::Task<Step<Decision>> next_decision(std::span<const EndpointId> tried);
  // How long to wait before another try; nothing when there is to be none. `tried` has the failed
  // engine last.
  std::optional<Duration> retry_delay(const Outcome& outcome, std::vector<EndpointId>& tried);
  port::Task<Step<>> pause(Duration duration);
  void note_names(const Decision& decision);  // of the engines it speaks of, for explain
  void note_undecided(const Stop& why);       // no engine was named: how the wait for one ended

  RequestFacts facts;
  MeshViewPtr view;
  const Model* model = nullptr;
  const Pool* pool = nullptr;
  DecisionRecord record;
  std::string last_engine, last_reason;
  Tokens predicted_cached{0};

 protected:
  Instant queued_since_ = kNever;  // of the present wait for an engine

 private:
  Shard& shard_;
  Waiter& waiter_;
};

template <typename Attempt, typename Request>
port::Task<Step<typename Attempt::Failure>> Routing::try_engines(Request& request) {
  std::vector<EndpointId> tried;
  typename Attempt::Failure failure;
  shard_.retry_budget(*pool).on_request(shard_.loop.now());
  for (std::uint32_t number = 1;; ++number) {
    queued_since_ = kNever;
    auto decision = co_await next_decision(tried);
    if (queued_since_ != kNever) record.queued += shard_.loop.now() - queued_since_;
    if (!decision) {
      note_undecided(decision.error());
      const bool nothing_left = failure && decision.error().code() == ErrorCode::kNoHealthyBackend;
      if (!nothing_left) co_return std::unexpected(decision.error());
      co_return std::move(failure);
    }
    last_reason = to_string(decision->reason);
    Attempt attempt(request, std::move(*decision), number);
    auto ended = co_await attempt.run();
    if (!ended || !*ended) co_return ended;
    failure = std::move(*ended);
    const Outcome& outcome = attempt.settle();
    tried.push_back(attempt.endpoint());
    const auto retry = retry_delay(outcome, tried);
    if (!retry) co_return std::move(failure);
    shard_.meter.retried(outcome.kind);
    if (*retry > Duration::zero()) {
      if (auto waited = co_await pause(*retry); !waited) {
        co_return std::unexpected(waited.error());
      }
    }
  }
}

}  // namespace infermesh::data
