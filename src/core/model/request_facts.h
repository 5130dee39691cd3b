// What the decision may know of a request. Made by wire/openai/facts from the head and as much of
// the body as the policy wants; complete == false while more of the body is still on its way.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "core/model/api.h"

namespace infermesh {

// Hash of a prompt block chained with all blocks before it (core/prefix/block_hasher.h).
using BlockHash = std::uint64_t;

constexpr std::size_t kPromptBlocksMax =
    4096;  // blocks kept of one prompt; the rest of it counts as uncached

enum class Priority : std::uint8_t { kLow, kNormal, kHigh };
constexpr std::size_t kPriorities = 3;
std::string_view to_string(Priority priority);  // "low", "normal", "high"

struct RequestFacts {
  Api api = Api::kChat;
  std::string model;          // as the client wrote it, unescaped; empty when it gave none
  bool stream = false;        // body asked for SSE
  bool usage_wanted = false;  // stream_options.include_usage was true
  bool complete = false;      // the whole body has been read
  std::uint32_t choices = 1;  // n x best_of x batch length
  std::optional<Tokens> output_tokens_max;
  Tokens prompt_tokens{0};           // estimate: text bytes / 4, or exact for token arrays
  Bytes body_bytes{0};               // content-length when announced, else read so far
  std::vector<BlockHash> blocks;     // the prompt's full blocks, from its beginning
  std::optional<EndpointId> pinned;  // the one engine that keeps what the request refers to
  std::uint64_t session_key = 0;     // hash of the session header or body key; 0 = none
  Priority priority = Priority::kNormal;
  Instant deadline = kNever;  // of the whole exchange
};

}  // namespace infermesh
