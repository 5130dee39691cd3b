// The inference routes that the router serves, the runtimes it knows, and which runtime serves
// which routes.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace infermesh {

// One route family (data/server/route_table; wire/openai/facts).
enum class Api : std::uint8_t {
  kChat,            // /v1/chat/completions
  kCompletions,     // /v1/completions
  kEmbeddings,      // /v1/embeddings
  kResponses,       // /v1/responses
  kMessages,        // /v1/messages (Anthropic)
  kRerank,          // /v1/rerank /v2/rerank /rerank
  kScore,           // /score /v1/score
  kClassify,        // /classify
  kTokenize,        // /tokenize
  kDetokenize,      // /detokenize
  kCountTokens,     // /v1/messages/count_tokens (Anthropic)
  kStoredResponse,  // /v1/responses/ID: what an engine keeps of an answer; no body, no model
  kOllamaChat,      // /api/chat
  kOllamaGenerate,  // /api/generate
  kOllamaEmbed,     // /api/embed, /api/embeddings
  kOllamaShow,      // /api/show
  kTranscriptions,  // /v1/audio/transcriptions
  kTranslations,    // /v1/audio/translations
  kSpeech,          // /v1/audio/speech
  kImages,          // /v1/images/generations
  kImageEdits,      // /v1/images/edits /v1/images/variations
  kRealtime,        // /v1/realtime (WebSocket)
  kInfer,           // /v2/models/M/infer (KServe)
  kGenerate,        // /v2/models/M/generate, generate_stream (KServe)
  kModelInfo,       // GET /v2/models/M, ready, config, stats (KServe)
  kPredict,         // /v1/models/M:predict, :classify, :regress (TensorFlow Serving)
  kPredictions,     // /predictions/M, /explanations/M (TorchServe)
  kGrpc,            // inference.GRPCInferenceService (KServe v2), of engines with a gRPC address
};
constexpr std::size_t kApis = 28;

std::string_view to_string(Api api);  // "chat", "completions", ... also the metric label
std::optional<Api> parse_api(std::string_view name);
std::string_view gen_ai_operation(Api api);  // OpenTelemetry's name of it, empty where it has none

// The answer is text made token by token.
constexpr bool generates(Api api) {
  return api == Api::kChat || api == Api::kCompletions || api == Api::kResponses ||
         api == Api::kMessages || api == Api::kOllamaChat || api == Api::kOllamaGenerate;
}
// The model reads the prompt: the answer takes its time and leaves the prompt's blocks cached.
constexpr bool reads_prompt(Api api) {
  return api != Api::kTokenize && api != Api::kDetokenize && api != Api::kCountTokens &&
         api != Api::kStoredResponse && api != Api::kOllamaShow;
}
// Ollama's own API under /api: streams of JSON lines, errors of one text.
constexpr bool is_ollama(Api api) {
  return api >= Api::kOllamaChat && api <= Api::kOllamaShow;
}
// A body that says nothing of `stream` asks for one.
constexpr bool streams_unasked(Api api) {
  return api == Api::kOllamaChat || api == Api::kOllamaGenerate;
}

// A set of route families.
class ApiSet {
 public:
  constexpr ApiSet() = default;
  constexpr ApiSet(std::initializer_list<Api> apis) {
    for (const Api api : apis) add(api);
  }

  constexpr void add(Api api) { bits_ |= bit(api); }
  constexpr bool contains(Api api) const { return (bits_ & bit(api)) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr ApiSet operator|(ApiSet other) const { return ApiSet(bits_ | other.bits_); }
  bool operator==(const ApiSet&) const = default;

 private:
  static_assert(kApis <= 64);
  constexpr explicit ApiSet(std::uint64_t bits) : bits_(bits) {}
  static constexpr std::uint64_t bit(Api api) {
    return std::uint64_t{1} << static_cast<unsigned>(api);
  }
  std::uint64_t bits_ = 0;
};

std::string to_string(ApiSet apis);  // "chat, completions"; empty when none

// The software of an engine. Its adapter is in wire/engine.
enum class Runtime : std::uint8_t {
  kOpenai,  // any other server that speaks OpenAI's API
  kVllm,
  kSglang,
  kLlamacpp,
  kTgi,
  kOllama,
  kTriton,
  kMlserver,
  kInfinity,
  kTensorflowServing,
  kTorchserve,
  kOpenvino,
  kDescribed,  // by a Runtime object
};
constexpr std::size_t kRuntimes = 13;

std::string_view to_string(Runtime runtime);  // "openai", "vllm", ... as configuration names it
std::optional<Runtime> parse_runtime(std::string_view name);  // of those built in
// What can be asked of an engine of this runtime unless its object says otherwise.
ApiSet apis_of(Runtime runtime);
// What stands for "/v1" in the paths of its OpenAI routes.
std::string_view openai_prefix_of(Runtime runtime);

}  // namespace infermesh
