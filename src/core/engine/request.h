// What an Engine is asked for and what it answers: requests, events, totals. Plain values.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "core/model/request_facts.h"

namespace infermesh::engine {

using RequestId = Strong<struct EngineRequestTag, std::uint64_t>;

struct RequestSpec {
  RequestId id;
  // Chained hashes of the full blocks of the prompt, then of the output as far as it is known
  // beforehand. Blocks beyond these are never found again. No hash may be 0.
  std::vector<BlockHash> blocks;
  Tokens prompt_tokens{1};  // at least 1
  Tokens output_tokens{1};  // 0: ends with the prefill and makes no token (embeddings)
};

enum class Submission : std::uint8_t {
  kAccepted,
  kQueueFull,  // waiting_max requests wait already
  kTooLong,    // prompt and output exceed context_tokens_max or the whole KV pool
  kDuplicate,  // the id is in use
};

enum class EventKind : std::uint8_t {
  kScheduled,  // entered the batch for the first time; cached_tokens is known
  kFirstToken,
  kToken,
  kPreempted,  // lost its blocks, waits again
  kFinished,   // after its last token; the id is free again
};

struct EngineEvent {
  EventKind kind{};
  RequestId id;
  Instant at{};
  Tokens cached_tokens{
      0};  // kScheduled, kFinished: prompt tokens found in the cache at first admission

  bool operator==(const EngineEvent&) const = default;
};

struct EngineStats {
  std::uint32_t running = 0;
  std::uint32_t waiting = 0;
  double kv_used = 0;  // 0..1; cached blocks that no sequence uses count as free
  std::uint64_t prefix_query_tokens = 0;
  std::uint64_t prefix_hit_tokens = 0;
  std::uint64_t prompt_tokens = 0;  // of requests that got their first token, cached ones included
  std::uint64_t generation_tokens = 0;
  std::uint64_t preemptions = 0;
  std::uint64_t finished = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t steps = 0;
  Duration busy{0};  // time of ended steps
};

}  // namespace infermesh::engine
