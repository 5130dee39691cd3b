// SimulatedEngine: core's engine model driven by a loop: one coroutine sleeps until the running
// step ends, hands its events to the exchanges that wait for them, and keeps the metrics. Belongs
// to one loop; many of them share it cheaply (an idle one costs nothing). Lives until drive() has
// returned after stop() and every exchange is gone.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "core/engine/engine.h"
#include "lab/vllm/engine_metrics.h"
#include "port/loop.h"
#include "port/wakeup.h"

namespace infermesh::lab {

// Who waits for a request's events. Must cancel() what it has running before it goes away.
class TokenSink {
 public:
  virtual ~TokenSink() = default;
  virtual void on_event(
      const engine::EngineEvent& event) = 0;  // inside the driver: remember it, wake up, return
};

struct GenerationSpec {
  std::vector<BlockHash> blocks;
  Tokens prompt_tokens{1};
  Tokens output_tokens{1};
  FinishReason ends_with = FinishReason::kLength;
};

class SimulatedEngine {
 public:
  SimulatedEngine(port::Loop& loop, engine::EngineProfile profile);

  port::Task<void> drive();  // spawned once by the owner
  void stop();               // ends drive()

  struct Submitted {
    engine::Submission outcome = engine::Submission::kAccepted;
    engine::RequestId id;
  };
  Submitted submit(GenerationSpec spec, TokenSink& sink);
  void cancel(engine::RequestId id);  // nothing when it has finished
  void forget_cache() { engine_.forget_cache(); }

  const engine::EngineProfile& profile() const { return engine_.profile(); }
  engine::EngineStats stats();
  const EngineMetrics& metrics() const { return metrics_; }
  std::uint64_t load() const { return requests_.size(); }  // requests not ended

 private:
  struct Request {
    TokenSink* sink = nullptr;
    Instant submitted{}, scheduled{}, first{}, last{};
    Tokens prompt_tokens{0};
    std::uint64_t produced = 0;
    FinishReason ends_with = FinishReason::kLength;
  };
  void dispatch();
  void account(Request& request, const engine::EngineEvent& event);
  void account_end(const Request& request, Instant at);

  port::Loop& loop_;
  engine::Engine engine_;
  EngineMetrics metrics_;
  std::unordered_map<engine::RequestId, Request>
      requests_;  // bounded by the engine: waiting and running
  std::uint64_t last_id_ = 0;
  port::Wakeup work_;
  bool stopped_ = false;
};

}  // namespace infermesh::lab
