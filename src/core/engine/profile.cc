#include "core/engine/profile.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace infermesh::engine {
namespace {

// Where the figures come from: weights / memory bandwidth gives the base, 2 FLOP x parameters over
// the attainable compute gives the prefill cost, KV bytes per token over bandwidth gives the
// context cost, free memory the blocks.
std::array<EngineProfile, 4> profiles() {
  EngineProfile tiny;

  EngineProfile h100_8b;
  h100_8b.name = "h100-8b";
  h100_8b.batch_tokens_max = 8192;
  h100_8b.sequences_max = 256;
  h100_8b.kv_blocks = 25'000;
  h100_8b.context_tokens_max = 131'072;
  h100_8b.step_base = 6500us;
  h100_8b.prefill_ns_per_token = 32'000;
  h100_8b.decode_ns_per_sequence = 20'000;
  h100_8b.context_ns_per_token = 50;

  EngineProfile h100_70b;
  h100_70b.name = "h100-70b-tp4";
  h100_70b.batch_tokens_max = 8192;
  h100_70b.sequences_max = 256;
  h100_70b.kv_blocks = 28'000;
  h100_70b.context_tokens_max = 131'072;
  h100_70b.step_base = 14'000us;
  h100_70b.prefill_ns_per_token = 95'000;
  h100_70b.decode_ns_per_sequence = 35'000;
  h100_70b.context_ns_per_token = 30;

  EngineProfile a10_8b;
  a10_8b.name = "a10-8b";
  a10_8b.batch_tokens_max = 2048;
  a10_8b.sequences_max = 128;
  a10_8b.kv_blocks = 2'500;
  a10_8b.context_tokens_max = 32'768;
  a10_8b.step_base = 30'000us;
  a10_8b.prefill_ns_per_token = 230'000;
  a10_8b.decode_ns_per_sequence = 60'000;
  a10_8b.context_ns_per_token = 250;

  return {tiny, h100_8b, h100_70b, a10_8b};
}

Result<void> at_least_one(std::uint32_t value, const char* name) {
  if (value >= 1) return {};
  return fail(ErrorCode::kInvalidField, std::string(name) + " is 0; it must be at least 1", name);
}

}  // namespace

Duration step_time(const EngineProfile& profile, const StepLoad& load) {
  const double nanoseconds =
      static_cast<double>(profile.step_base.count()) +
      profile.prefill_ns_per_token * static_cast<double>(load.prefill_tokens) +
      profile.decode_ns_per_sequence * static_cast<double>(load.decode_sequences) +
      profile.context_ns_per_token * static_cast<double>(load.context_tokens);
  const auto scaled = static_cast<std::int64_t>(std::llround(nanoseconds / profile.speed));
  return std::max(Duration(scaled), Duration(1us));
}

std::optional<EngineProfile> find_profile(std::string_view name) {
  for (auto& profile : profiles()) {
    if (profile.name == name) return profile;
  }
  return std::nullopt;
}

std::vector<std::string> profile_names() {
  std::vector<std::string> names;
  for (const auto& profile : profiles()) names.push_back(profile.name);
  return names;
}

Result<void> validate(const EngineProfile& profile) {
  IM_TRY(at_least_one(profile.batch_tokens_max, "batch_tokens_max"));
  IM_TRY(at_least_one(profile.sequences_max, "sequences_max"));
  IM_TRY(at_least_one(profile.kv_blocks, "kv_blocks"));
  IM_TRY(at_least_one(profile.context_tokens_max, "context_tokens_max"));
  IM_TRY(at_least_one(profile.waiting_max, "waiting_max"));
  const bool usable =
      std::isfinite(profile.speed) && profile.speed >= 0.001 && profile.speed <= 1000;
  if (!usable) {
    return fail(ErrorCode::kInvalidField, "speed must be between 0.001 and 1000", "speed");
  }
  return {};
}

}  // namespace infermesh::engine
