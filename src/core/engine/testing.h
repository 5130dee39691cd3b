// What the tests of this folder share: a profile of round numbers (a step is 10 ms, plus 10 us per
// prefill token and 0.1 ms per decoding sequence) and short ways to write a request and an instant.
// For tests only.
#pragma once

#include <utility>

#include "core/engine/engine.h"

namespace infermesh::engine {

inline EngineProfile test_profile() {
  EngineProfile profile;
  profile.name = "test";
  profile.batch_tokens_max = 512;
  profile.sequences_max = 8;
  profile.kv_blocks = 100;
  profile.context_tokens_max = 2000;
  profile.waiting_max = 8;
  profile.step_base = 10ms;
  profile.prefill_ns_per_token = 10'000;
  profile.decode_ns_per_sequence = 100'000;
  profile.context_ns_per_token = 0;
  return profile;
}

inline RequestSpec request(std::uint64_t id, std::vector<BlockHash> blocks, int prompt,
                           int output) {
  return {RequestId(id), std::move(blocks), Tokens(prompt), Tokens(output)};
}

inline Instant at(Duration since_start) {
  return Instant(since_start);
}

}  // namespace infermesh::engine
