// RouteState: what one shard's routing remembers between decisions, and the scratch memory that
// keeps a decision free of allocation. Owned by a shard, used on its loop only. Everything in it
// may be lost at any time at the cost of a few worse decisions.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "core/model/mesh_view.h"
#include "core/route/candidate.h"

namespace infermesh::route {

constexpr std::size_t kModelsLearnedMax = 4096;  // further models keep their declared output length
constexpr std::size_t kTrialsMax = 64;           // half-open trials remembered; further ones wait
constexpr Duration kTrialPause = 5s;             // a trial without an answer may be repeated then

struct ModelMemory {
  std::uint16_t last_chosen = 0xffff;  // endpoint of the last decision, for round robin
  double output_tokens = 0;            // learned expected output, 0 = nothing yet
  double uncached_tokens = 0;          // typical uncached prompt, 0 = nothing yet
};

struct TrialMemory {
  EndpointId endpoint;
  std::uint64_t model_key = 0;
  Instant at{};
};

struct RouteState {
  std::unordered_map<std::uint64_t, ModelMemory> models;  // by model_key; never iterated
  std::vector<TrialMemory> trials;

  // Scratch of one decision; they grow to the largest model's endpoints and stay.
  std::vector<Candidate> candidates;
  std::vector<Candidate*> eligible;
  std::vector<EndpointId> ids;
  std::vector<std::uint32_t> cached_blocks;

  // nullptr when the model is new and there is no room.
  ModelMemory* model(std::uint64_t key);
};

}  // namespace infermesh::route
