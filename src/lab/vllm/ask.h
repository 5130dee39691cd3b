// Ask: what an inference request asks of the simulated engine: the fields that change what it does.
// Everything else is accepted and ignored, as vLLM does. A body that vLLM would refuse is refused
// in its words' shape. Pure.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/api.h"
#include "lab/shared/text_model.h"

namespace infermesh::lab {

constexpr std::size_t kPromptsMax = 2048;  // prompts or documents of one request
constexpr std::uint32_t kChoicesMax = 128;

struct Refusal {
  int status = 400;
  std::string type = "BadRequestError";
  std::string message;
  std::string param;  // empty: null
};

struct Ask {
  Api api = Api::kChat;
  std::string model;  // empty: the first one served
  bool stream = false;
  bool usage = false;             // stream_options.include_usage
  bool continuous_usage = false;  // stream_options.continuous_usage_stats
  bool ignore_eos = false;
  std::uint32_t choices = 1;  // n, per prompt
  std::optional<std::uint64_t> output_tokens_max;
  std::uint64_t output_tokens_min = 0;
  std::uint32_t dimensions = 32;      // of an embedding
  std::vector<BlockChain> prompts;    // rendered; one for a chat, one a text or document otherwise
  std::vector<std::uint32_t> tokens;  // detokenize only
};

std::expected<Ask, Refusal> read_ask(Api api, std::string_view body);

}  // namespace infermesh::lab
