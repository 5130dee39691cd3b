#include "wire/openai/facts_table.h"

#include "wire/json/key_table.h"

namespace infermesh::openai {
namespace {

constexpr FieldRow kChatFields[]{
    {"model", Act::kModel},
    {"stream", Act::kStream},
    {"stream_options", Act::kOptions},
    {"max_completion_tokens", Act::kCap},
    {"max_tokens", Act::kCapFallback},
    {"n", Act::kChoices},
    {"service_tier", Act::kTier},
    {"cache_salt", Act::kSalt},
    {"chat_template_kwargs", Act::kSalt},
    {"reasoning_effort", Act::kSalt},
    {"tools", Act::kRaw},
    {"messages", Act::kMessages},
};
constexpr FieldRow kCompletionsFields[]{
    {"model", Act::kModel},
    {"stream", Act::kStream},
    {"stream_options", Act::kOptions},
    {"max_tokens", Act::kCap},
    {"n", Act::kChoices},
    {"best_of", Act::kBestOf},
    {"service_tier", Act::kTier},
    {"cache_salt", Act::kSalt},
    {"prompt", Act::kBatch},
    {"suffix", Act::kText},
    {"prompt_embeds", Act::kDigest},
};
constexpr FieldRow kEmbeddingsFields[]{
    {"model", Act::kModel},
    {"service_tier", Act::kTier},
    {"input", Act::kBatch},
    {"messages", Act::kMessages},
};
constexpr FieldRow kResponsesFields[]{
    {"model", Act::kModel},
    {"stream", Act::kStream},
    {"max_output_tokens", Act::kCap},
    {"service_tier", Act::kTier},
    {"cache_salt", Act::kSalt},
    {"instructions", Act::kText},
    {"tools", Act::kRaw},
    {"input", Act::kMessages},
    {"previous_response_id", Act::kPrevious},
    {"conversation", Act::kStored},
    {"prompt", Act::kStored},
};
constexpr FieldRow kMessagesFields[]{
    {"model", Act::kModel},       {"stream", Act::kStream},     {"max_tokens", Act::kCap},
    {"service_tier", Act::kTier}, {"cache_salt", Act::kSalt},   {"tools", Act::kRaw},
    {"system", Act::kSystem},     {"messages", Act::kMessages},
};
constexpr FieldRow kRerankFields[]{
    {"model", Act::kModel},
    {"service_tier", Act::kTier},
    {"query", Act::kSideA},
    {"documents", Act::kSideB},
};
constexpr FieldRow kScoreFields[]{
    {"model", Act::kModel},     {"service_tier", Act::kTier}, {"text_1", Act::kSideA},
    {"queries", Act::kSideA},   {"data_1", Act::kSideA},      {"text_2", Act::kSideB},
    {"documents", Act::kSideB}, {"items", Act::kSideB},       {"data_2", Act::kSideB},
};
constexpr FieldRow kClassifyFields[]{
    {"model", Act::kModel},
    {"service_tier", Act::kTier},
    {"input", Act::kBatch},
    {"messages", Act::kMessages},
};
constexpr FieldRow kTokenizeFields[]{
    {"model", Act::kModel},
    {"prompt", Act::kBatch},
    {"content", Act::kBatch},  // llama.cpp's name of it
    {"messages", Act::kMessages},
};
constexpr FieldRow kDetokenizeFields[]{
    {"model", Act::kModel},
    {"tokens", Act::kBatch},
};
constexpr FieldRow kOllamaChatFields[]{
    {"model", Act::kModel}, {"stream", Act::kStream}, {"options", Act::kEngineOptions},
    {"think", Act::kSalt},  {"tools", Act::kRaw},     {"messages", Act::kMessages},
};
constexpr FieldRow kOllamaGenerateFields[]{
    {"model", Act::kModel},  {"stream", Act::kStream},  {"options", Act::kEngineOptions},
    {"think", Act::kSalt},   {"template", Act::kSalt},  {"raw", Act::kSalt},
    {"system", Act::kText},  {"prompt", Act::kBatch},   {"suffix", Act::kText},
    {"images", Act::kMedia}, {"context", Act::kDigest},
};
constexpr FieldRow kOllamaEmbedFields[]{
    {"model", Act::kModel},
    {"input", Act::kBatch},
    {"prompt", Act::kBatch},
};
constexpr FieldRow kOllamaShowFields[]{
    {"model", Act::kModel}, {"name", Act::kModel},  // its older name
};
constexpr FieldRow kSpeechFields[]{
    {"model", Act::kModel},
    {"input", Act::kBatch},
};
constexpr FieldRow kImagesFields[]{
    {"model", Act::kModel},
    {"stream", Act::kStream},
    {"n", Act::kChoices},
    {"prompt", Act::kBatch},
};
constexpr FieldRow kGenerateFields[]{
    {"max_tokens", Act::kCap},
    {"text_input", Act::kBatch},
};

constexpr FieldRow kEngineOptionsMembers[]{{"num_predict", Act::kCap}};
constexpr FieldRow kOptionsMembers[]{{"include_usage", Act::kIncludeUsage},
                                     {"continuous_usage_stats", Act::kContinuousUsage}};
constexpr FieldRow kMessageMembers[]{
    {"role", Act::kText},
    {"content", Act::kContent},
    {"name", Act::kText},
    {"tool_calls", Act::kRaw},
    {"tool_call_id", Act::kText},
    {"function_call", Act::kRaw},
    {"arguments", Act::kText},
    {"call_id", Act::kText},
    {"output", Act::kContent},
    {"summary", Act::kRaw},
    {"encrypted_content", Act::kDigest},
    {"thinking", Act::kText},  // Ollama's, as the next two
    {"tool_name", Act::kText},
    {"images", Act::kMedia},
};
constexpr FieldRow kPartMembers[]{
    {"text", Act::kText},        {"thinking", Act::kText},      {"name", Act::kText},
    {"tool_use_id", Act::kText}, {"input", Act::kRaw},          {"content", Act::kContent},
    {"image_url", Act::kDigest}, {"input_audio", Act::kDigest}, {"file", Act::kDigest},
    {"video_url", Act::kDigest}, {"audio_url", Act::kDigest},   {"source", Act::kDigest},
    {"file_data", Act::kDigest}, {"image", Act::kDigest},
};
constexpr FieldRow kSystemPartMembers[]{{"text", Act::kBillingText}};
constexpr FieldRow kDocumentMembers[]{{"text", Act::kContent}, {"content", Act::kContent}};

constexpr std::span<const FieldRow> fields_of(Api api) {
  switch (api) {
    case Api::kChat:
      return kChatFields;
    case Api::kCompletions:
      return kCompletionsFields;
    case Api::kEmbeddings:
      return kEmbeddingsFields;
    case Api::kResponses:
      return kResponsesFields;
    case Api::kMessages:
    case Api::kCountTokens:
      return kMessagesFields;
    case Api::kRerank:
      return kRerankFields;
    case Api::kScore:
      return kScoreFields;
    case Api::kClassify:
      return kClassifyFields;
    case Api::kTokenize:
      return kTokenizeFields;
    case Api::kDetokenize:
      return kDetokenizeFields;
    case Api::kOllamaChat:
      return kOllamaChatFields;
    case Api::kOllamaGenerate:
      return kOllamaGenerateFields;
    case Api::kOllamaEmbed:
      return kOllamaEmbedFields;
    case Api::kOllamaShow:
      return kOllamaShowFields;
    case Api::kSpeech:
      return kSpeechFields;
    case Api::kImages:
      return kImagesFields;
    case Api::kGenerate:
      return kGenerateFields;
    default:  // not JSON: read elsewhere
      return {};
  }
  return {};
}

constexpr std::span<const FieldRow> members_of(Context object) {
  switch (object) {
    case Context::kOptions:
      return kOptionsMembers;
    case Context::kEngineOptions:
      return kEngineOptionsMembers;
    case Context::kMessage:
      return kMessageMembers;
    case Context::kPart:
      return kPartMembers;
    case Context::kSystemPart:
      return kSystemPartMembers;
    case Context::kDocument:
      return kDocumentMembers;
    default:
      return {};
  }
}

constexpr auto kContexts = static_cast<std::size_t>(Context::kDocument) + 1;

// Scopes of the key table: the route families, then the objects inside.
constexpr std::uint8_t scope_of(Api api) {
  return static_cast<std::uint8_t>(api);
}
constexpr std::uint8_t scope_of(Context object) {
  return static_cast<std::uint8_t>(kApis + static_cast<std::size_t>(object));
}

constexpr std::size_t kRowsTotal = [] {
  std::size_t total = 0;
  for (std::size_t i = 0; i < kApis; ++i) total += fields_of(static_cast<Api>(i)).size();
  for (std::size_t i = 0; i < kContexts; ++i) total += members_of(static_cast<Context>(i)).size();
  return total;
}();

constexpr json::KeyTable kKeys([] {
  std::array<json::KeyRow, kRowsTotal> all{};
  std::size_t count = 0;
  for (std::size_t i = 0; i < kApis; ++i) {
    std::uint8_t index = 0;
    for (const FieldRow& row : fields_of(static_cast<Api>(i))) {
      all[count++] = {scope_of(static_cast<Api>(i)), index++, row.key};
    }
  }
  for (std::size_t i = 0; i < kContexts; ++i) {
    for (const FieldRow& row : members_of(static_cast<Context>(i))) {
      all[count++] = {scope_of(static_cast<Context>(i)), static_cast<std::uint8_t>(row.act),
                      row.key};
    }
  }
  return all;
}());

}  // namespace

std::span<const FieldRow> root_fields(Api api) {
  return fields_of(api);
}

std::size_t root_row(Api api, std::string_view key) {
  return kKeys.find(scope_of(api), key).value_or(kRootFieldsMax);
}

Act member_act(Context object, std::string_view key) {
  const auto act = kKeys.find(scope_of(object), key);
  return act ? static_cast<Act>(*act) : Act::kSkip;
}

Act element_act(Context array) {
  switch (array) {
    case Context::kMessageList:
      return Act::kMessage;
    case Context::kMediaList:
      return Act::kDigest;
    case Context::kPartList:
      return Act::kPart;
    case Context::kSystemList:
      return Act::kSystemPart;
    case Context::kBatchList:
      return Act::kBatchElement;
    case Context::kTokenList:
      return Act::kToken;
    case Context::kSideList:
      return Act::kSideElement;
    default:
      return Act::kSkip;
  }
}

}  // namespace infermesh::openai
