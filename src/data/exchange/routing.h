// Routing: how a request comes to an engine, whichever protocol carries it: what it is, the model
// and the pool that it names, the decision or the wait for one, and whether to try again elsewhere.
// What was decided is kept in its record. Of one request, on its shard.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/model/decision.h"
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

}  // namespace infermesh::data
