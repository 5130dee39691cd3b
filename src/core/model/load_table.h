// LoadTable: what is in flight and what was measured, one cache line or two an endpoint, shared by
// all shards and the signal loop. Every field is a relaxed atomic that stands alone: a reader may
// see two fields of different moments, which a decision tolerates. Fixed size, made once by app,
// lives as long as the process.
//
// Written by: shards (in flight, tokens ahead, rates), the signal loop (what engines report). Read
// by: decisions, status.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/ids.h"
#include "base/time.h"

namespace infermesh {

// Load as an engine told it. Absent is unknown, never zero. Counts are sums over data-parallel
// ranks, fractions maxima.
struct EngineReport {
  std::optional<std::uint32_t> running;
  std::optional<std::uint32_t> waiting;
  std::optional<double> kv_used;  // fraction 0..1
  std::optional<Tokens>
      waiting_prompt_tokens;  // uncached prompt tokens queued, where told (SGLang)
  std::optional<Tokens> kv_tokens_total;
  std::optional<std::uint64_t> prefix_query_tokens;  // counters since the engine's start
  std::optional<std::uint64_t> prefix_hit_tokens;
  std::optional<std::uint64_t> prompt_tokens;
  std::optional<std::uint64_t> generation_tokens;
  Instant read_at{};
};

// Decayed sums of observations (x, y): enough for a straight line through the recent ones.
struct LineSums {
  std::atomic<double> weight{0}, x{0}, y{0}, xx{0}, xy{0};
  std::atomic<double> pending_x{0}, pending_y{0};  // a batch that is not complete yet
  std::atomic<std::int32_t> pending_merged{0};
  std::atomic<double> observed{0},
      expected{0};  // of the last few only: how far the line is off right now
};

struct alignas(64) LoadCell {
  // The router's own account, counted the moment a request is sent.
  std::atomic<std::int32_t> in_flight{0};  // requests sent and not finished
  std::atomic<std::int64_t> prefill_tokens_ahead{
      0};  // uncached prompt tokens sent, first byte not yet seen
  std::atomic<std::int64_t> decode_tokens_ahead{
      0};  // expected output tokens of requests that have begun to answer
  std::atomic<std::int32_t> streams{0};              // requests that have begun to answer
  std::atomic<std::int64_t> prefill_tokens_done{0};  // total of uncached prompt tokens prefilled
  std::atomic<std::int64_t> prefill_since_ns{0};     // when it turned to the prompt it works on
  std::atomic<std::int64_t> unseen_prefill_until_ns{
      0};  // predicted end of prompts whose first token is not seen (not streamed)
  // Measured by outcomes; 0 = not yet measured.
  std::atomic<double> prefill_tokens_per_second{0};
  std::atomic<double> seconds_per_token{0};  // one stream's time per output token
  std::atomic<double> overhead_seconds{0};   // time to first byte that no prompt token explains
  std::atomic<std::int64_t> rates_at_ns{0};  // Instant of the last update
  std::atomic<double> seconds_per_token_per_stream{0};  // what each further stream adds to it
  std::atomic<float> prefix_trust{1};                   // cached tokens as served over as believed
  LineSums prefill_line;                                // x uncached prompt tokens, y seconds
  LineSums decode_line;                                 // x streams, y seconds per output token
  // Reported by the engine; negative = unknown.
  std::atomic<std::int32_t> reported_running{-1};
  std::atomic<std::int32_t> reported_waiting{-1};
  std::atomic<std::int64_t> reported_waiting_tokens{-1};
  std::atomic<float> reported_kv_used{-1};
  std::atomic<std::int64_t> reported_at_ns{0};
  // Reported beyond the router's own account at that moment: other clients' requests. The lower of
  // the last two reports, since a request just sent or just finished shows in one account before
  // the other.
  std::atomic<std::int32_t> others_running{0}, others_waiting{0};
  std::atomic<std::int32_t> others_running_last{0}, others_waiting_last{0};
  // Uncached prompt tokens of those that wait, where the engine tells; negative = unknown.
  std::atomic<std::int64_t> others_waiting_tokens{-1}, others_waiting_tokens_last{-1};
  // Totals, for status and metrics.
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> failures{0};
};

// What all shards count of one pool. Made with the pool, found again by its name when the view is
// built anew.
struct PoolLoad {
  std::atomic<std::int32_t> waiting{0};  // requests in the shards' queues
};

class LoadTable {
 public:
  LoadCell& at(EndpointId id) { return cells_[id.value]; }
  const LoadCell& at(EndpointId id) const { return cells_[id.value]; }

  void report(EndpointId id, const EngineReport& report);  // the signal loop
  void reset(EndpointId id);                               // when an id is given to another engine

 private:
  std::array<LoadCell, kEndpointsMax> cells_{};
};

}  // namespace infermesh
