#include "core/model/api.h"

namespace infermesh {
namespace {

constexpr std::array<std::string_view, kApis> kApiNames{
    "chat",         "completions",     "embeddings",   "responses",       "messages",
    "rerank",       "score",           "classify",     "tokenize",        "detokenize",
    "count_tokens", "stored_response", "ollama_chat",  "ollama_generate", "ollama_embed",
    "ollama_show",  "transcriptions",  "translations", "speech",          "images",
    "image_edits",  "realtime",        "infer",        "generate",        "model_info",
    "predict",      "predictions",     "grpc"};

// What a server of unknown make may speak, and what the LLM engines do.
constexpr ApiSet kOpenaiFamily{Api::kChat,       Api::kCompletions, Api::kEmbeddings,
                               Api::kResponses,  Api::kMessages,    Api::kRerank,
                               Api::kScore,      Api::kClassify,    Api::kTokenize,
                               Api::kDetokenize, Api::kCountTokens, Api::kStoredResponse};
constexpr ApiSet kOllamaFamily{Api::kOllamaChat, Api::kOllamaGenerate, Api::kOllamaEmbed,
                               Api::kOllamaShow};

// Sound, pictures and live sessions: what an engine lacks of it, it refuses itself.
constexpr ApiSet kMedia{Api::kTranscriptions, Api::kTranslations, Api::kSpeech,
                        Api::kImages,         Api::kImageEdits,   Api::kRealtime};
constexpr ApiSet kKserve{Api::kInfer, Api::kGenerate, Api::kModelInfo};

struct RuntimeRow {
  std::string_view name;
  ApiSet apis;
  std::string_view openai_prefix = "/v1";
};

// By Runtime. A new route is added to the rows of those who serve it.
constexpr std::array<RuntimeRow, kRuntimes> kRuntimeRows{{
    {"openai", kOpenaiFamily | kMedia},
    {"vllm", kOpenaiFamily | kMedia},
    {"sglang", kOpenaiFamily | kOllamaFamily | kMedia},
    {"llamacpp", kOpenaiFamily},
    {"tgi", {Api::kChat, Api::kCompletions}},
    {"ollama", kOllamaFamily | ApiSet{Api::kChat, Api::kCompletions, Api::kEmbeddings,
                                      Api::kResponses, Api::kMessages, Api::kTranscriptions}},
    {"triton", kKserve},
    {"mlserver", kKserve},
    {"infinity", {Api::kEmbeddings, Api::kRerank, Api::kClassify}},
    {"tensorflow_serving", {Api::kPredict}},
    {"torchserve", {Api::kPredictions}},
    {"openvino",
     {Api::kChat, Api::kCompletions, Api::kEmbeddings, Api::kResponses, Api::kRerank,
      Api::kTranscriptions, Api::kTranslations, Api::kSpeech, Api::kImages, Api::kImageEdits,
      Api::kInfer, Api::kModelInfo, Api::kPredict},
     "/v3"},
    {"described", kOpenaiFamily | kMedia},
}};

const RuntimeRow& row_of(Runtime runtime) {
  return kRuntimeRows[static_cast<std::size_t>(runtime)];
}

}  // namespace

std::string_view to_string(Api api) {
  return kApiNames[static_cast<std::size_t>(api)];
}

std::string_view gen_ai_operation(Api api) {
  switch (api) {
    case Api::kChat:
    case Api::kMessages:
    case Api::kResponses:
    case Api::kOllamaChat:
      return "chat";
    case Api::kCompletions:
    case Api::kOllamaGenerate:
      return "text_completion";
    case Api::kEmbeddings:
    case Api::kOllamaEmbed:
      return "embeddings";
    default:
      return {};
  }
}

std::optional<Api> parse_api(std::string_view name) {
  for (std::size_t i = 0; i < kApis; ++i) {
    if (kApiNames[i] == name) return static_cast<Api>(i);
  }
  return std::nullopt;
}

std::string to_string(ApiSet apis) {
  std::string text;
  for (std::size_t i = 0; i < kApis; ++i) {
    if (!apis.contains(static_cast<Api>(i))) continue;
    if (!text.empty()) text += ", ";
    text += kApiNames[i];
  }
  return text;
}

std::string_view to_string(Runtime runtime) {
  return row_of(runtime).name;
}

std::optional<Runtime> parse_runtime(std::string_view name) {
  for (std::size_t i = 0; i < kRuntimes; ++i) {
    const auto runtime = static_cast<Runtime>(i);
    if (runtime != Runtime::kDescribed && kRuntimeRows[i].name == name) return runtime;
  }
  return std::nullopt;
}

std::string_view openai_prefix_of(Runtime runtime) {
  return row_of(runtime).openai_prefix;
}

ApiSet apis_of(Runtime runtime) {
  return row_of(runtime).apis;
}

}  // namespace infermesh
