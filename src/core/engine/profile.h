// EngineProfile: how large and how fast a modelled engine is. A step costs time linear in what it
// does: a base (weights read once, launch), a part per prefill token (compute), per decoding
// sequence and per token of context read (KV bandwidth). The named profiles are rough rooflines of
// public hardware figures, not measurements: they are for comparing policies, not for sizing a
// purchase.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace infermesh::engine {

constexpr std::uint32_t kBlockTokens = 16;  // tokens of one KV block, vLLM's default

struct EngineProfile {
  std::string name = "tiny";
  // Limits. All of them at least 1.
  std::uint32_t batch_tokens_max = 2048;  // token budget of one step (vLLM: max_num_batched_tokens)
  std::uint32_t sequences_max = 64;       // running at once (vLLM: max_num_seqs)
  std::uint32_t kv_blocks = 4096;         // of kBlockTokens tokens each
  std::uint32_t context_tokens_max =
      32768;                         // prompt and output of one request (vLLM: max_model_len)
  std::uint32_t waiting_max = 4096;  // further requests are refused
  // Step time at speed 1.
  Duration step_base = 500us;
  double prefill_ns_per_token = 5'000;
  double decode_ns_per_sequence = 10'000;
  double context_ns_per_token = 1;
  double speed = 1.0;  // 0.5: every step takes twice as long. > 0
};

// What one step computes.
struct StepLoad {
  std::uint64_t prefill_tokens = 0;
  std::uint64_t decode_sequences = 0;
  std::uint64_t context_tokens =
      0;  // tokens already in the KV cache that the step's sequences read

  bool empty() const { return prefill_tokens == 0 && decode_sequences == 0; }
  bool operator==(const StepLoad&) const = default;
};

Duration step_time(const EngineProfile& profile, const StepLoad& load);  // never below 1 us

std::optional<EngineProfile> find_profile(std::string_view name);
std::vector<std::string> profile_names();
// kInvalidField with the limit's name when a value cannot be used.
Result<void> validate(const EngineProfile& profile);

}  // namespace infermesh::engine
