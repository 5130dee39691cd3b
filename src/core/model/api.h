// The inference routes that the router serves, and the runtimes it knows.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace infermesh {

// One route family. The path table is data/route_table; what is read of the body is
// wire/openai/facts.
enum class Api : std::uint8_t {
  kChat,         // /v1/chat/completions
  kCompletions,  // /v1/completions
  kEmbeddings,   // /v1/embeddings
  kResponses,    // /v1/responses
  kMessages,     // /v1/messages (Anthropic)
  kRerank,       // /v1/rerank /v2/rerank /rerank
  kScore,        // /score /v1/score
  kClassify,     // /classify
  kTokenize,     // /tokenize
  kDetokenize,   // /detokenize
};
constexpr std::size_t kApis = 10;

std::string_view to_string(Api api);  // "chat", "completions", ... also the metric label

enum class Runtime : std::uint8_t { kOpenai, kVllm, kSglang, kLlamacpp };

std::string_view to_string(Runtime runtime);  // "openai", "vllm", "sglang", "llamacpp"
std::optional<Runtime> parse_runtime(std::string_view name);

}  // namespace infermesh
