// Engine: one model server as a step machine: continuous batching with a token budget, chunked
// prefill, paged KV blocks with prefix caching, and preemption by recompute. Pure: time is an
// argument; a driver calls on_deadline() at next_deadline() and reads take_output(). Copyable: a
// copy can be asked what would happen.
//
// A step is planned when the one before ends (or at submit, when idle) and takes step_time() of
// what it holds: first the running sequences in order of admission, then the waiting ones, first
// come first served. When a running sequence finds no free block, the youngest running one loses
// its blocks and goes back to the front of the queue. The blocks a step will fill are found by
// others from its beginning, as in vLLM V1 whose documented behaviour this follows.
//
// Late drivers are harmless: every call first ends the steps that were due, at the times they were
// due.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "core/engine/block_pool.h"
#include "core/engine/profile.h"
#include "core/engine/request.h"

namespace infermesh::engine {

class Engine {
 public:
  explicit Engine(EngineProfile profile);  // the profile must be valid

  Submission submit(Instant now, RequestSpec request);
  // False when the id is not known (it has finished).
  bool cancel(Instant now, RequestId id);
  Instant next_deadline() const { return step_end_; }  // kNever when idle
  void on_deadline(Instant now);
  std::vector<EngineEvent> take_output();
  void forget_cache();  // drops cached content that is not in use

  EngineStats stats() const;
  const EngineProfile& profile() const { return profile_; }
  StepLoad current_step() const { return load_; }
  // Prompt tokens of `blocks` that a request submitted now would find; the last token of a prompt
  // is always computed.
  Tokens cached_tokens(const RequestSpec& request) const;

 private:
  struct Sequence {
    RequestSpec spec;
    std::uint64_t computed = 0;       // tokens whose KV is there
    std::uint64_t produced = 0;       // output tokens made
    std::uint64_t scheduled = 0;      // tokens of the running step
    std::uint64_t prefill_until = 0;  // tokens known when it (re)entered the batch
    Tokens cached{0};
    bool admitted_before = false;
    bool running = false;
    std::vector<BlockPool::Block> held;

    std::uint64_t known() const {
      return static_cast<std::uint64_t>(spec.prompt_tokens.value) + produced;
    }
  };
  using Slot = std::uint32_t;

  void plan(Instant start);
  bool plan_running(std::uint64_t& budget);  // false: someone was preempted
  void plan_waiting(std::uint64_t& budget);
  bool make_room(std::size_t index, std::size_t blocks_wanted);
  void schedule(Sequence& sequence, std::uint64_t tokens);
  void preempt_youngest();
  void end_step();
  bool make_token(Sequence& sequence);  // true: that was its last
  void finish(Slot slot);
  void emit(EventKind kind, const Sequence& sequence, Instant at);
  std::size_t matched_blocks(const Sequence& sequence) const;

  EngineProfile profile_;
  BlockPool pool_;
  std::vector<Sequence> sequences_;  // slots; bounded by waiting_max + sequences_max
  std::vector<Slot> free_slots_;
  std::unordered_map<RequestId, Slot> by_id_;  // looked up only, never iterated
  std::vector<Slot> running_;                  // order of admission
  std::deque<Slot> waiting_;
  Instant step_start_{};
  Instant step_end_ = kNever;
  StepLoad load_;
  std::vector<EngineEvent> output_;
  EngineStats totals_;
};

}  // namespace infermesh::engine
