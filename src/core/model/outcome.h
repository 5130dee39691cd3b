// Outcome: what one attempt was like, fed back to core by learn() and to the health machines.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/ids.h"
#include "base/time.h"

namespace infermesh {

enum class OutcomeKind : std::uint8_t {
  kOk,
  kClientError,  // 4xx that the engine meant: not the engine's fault
  kEngineError,  // 5xx
  kOverloaded,   // 429 or 503 from the engine
  kConnectFailed,
  kReset,      // closed before the first byte
  kTimeout,    // first byte, between bytes or total
  kTruncated,  // stream ended without its terminal event, or carried an error
  kBadResponse,
  kCancelled,  // the client went away: says nothing about the engine
};
std::string_view to_string(OutcomeKind kind);
bool is_failure(OutcomeKind kind);  // counts against the engine's health

struct Outcome {
  EndpointId endpoint;
  ModelId model;
  std::uint64_t model_key = 0;  // of the decision: name_hash of the model's name
  OutcomeKind kind = OutcomeKind::kOk;
  std::uint16_t status = 0;  // HTTP status from the engine, 0 when none
  bool trial = false;        // was a half-open breaker's trial
  Instant sent_at{};
  Duration first_byte{-1};            // from sent; negative when none came
  Duration total{0};                  // from sent to the end
  Tokens uncached_prompt_tokens{0};   // as the decision believed
  std::int32_t streams_at_start = 0;  // other streams on the engine when it was sent
  Tokens prefill_ahead_at_start{0};   // uncached prompt tokens of others before it
  Duration prefill_service{
      -1};                   // time the engine spent on this prompt alone; negative when not seen
  Tokens prefill_beside{0};  // uncached prompt tokens of others prefilled while it answered
  bool streamed = false;     // the first byte marks the first token
  bool prompt_read = true;   // by the model; else its time tells nothing of the engine's speed
  std::optional<Tokens> prompt_tokens;  // as the engine's usage said
  std::optional<Tokens> cached_tokens;
  std::optional<Tokens> output_tokens;
  Duration retry_after{-1};  // engine's own advice
};

}  // namespace infermesh
