#include "core/model/api.h"

namespace infermesh {
namespace {

constexpr std::array<std::string_view, kApis> kApiNames{
    "chat",   "completions", "embeddings", "responses", "messages",
    "rerank", "score",       "classify",   "tokenize",  "detokenize"};
constexpr std::array<std::string_view, 4> kRuntimeNames{"openai", "vllm", "sglang", "llamacpp"};

}  // namespace

std::string_view to_string(Api api) {
  return kApiNames[static_cast<std::size_t>(api)];
}

std::string_view to_string(Runtime runtime) {
  return kRuntimeNames[static_cast<std::size_t>(runtime)];
}

std::optional<Runtime> parse_runtime(std::string_view name) {
  for (std::size_t i = 0; i < kRuntimeNames.size(); ++i) {
    if (kRuntimeNames[i] == name) return static_cast<Runtime>(i);
  }
  return std::nullopt;
}

}  // namespace infermesh
