// What FactsReader reads of each request body: one row a field, per route family. Internal to
// wire/openai.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/model/api.h"

namespace infermesh::openai {

// What a value is read for.
enum class Act : std::uint8_t {
  kSkip,
  kModel,
  kStream,
  kOptions,        // stream_options
  kEngineOptions,  // Ollama's options
  kIncludeUsage,   // a member of it
  kContinuousUsage,
  kCap,          // output cap that counts first
  kCapFallback,  // output cap where the first is absent
  kChoices,      // n
  kBestOf,
  kTier,         // service_tier
  kSalt,         // what keeps prompts apart without being text
  kStored,       // names state that an engine keeps
  kPrevious,     // the id of an earlier answer that an engine keeps
  kText,         // prompt text
  kRaw,          // prompt text as raw JSON
  kDigest,       // media in a prompt: stands for itself by a hash
  kMedia,        // a list of those
  kContent,      // text or a list of parts
  kSystem,       // the same, of Anthropic's system prompt
  kMessages,     // list of messages or items, or text
  kBatch,        // text, list of texts, list of tokens, list of lists of tokens
  kSideA,        // one side of pairs (query, text_1), text or list
  kSideB,        // the other (documents, text_2)
  kBillingText,  // text of a system part, skipped when it is a billing header
  kMessage,      // element of kMessages
  kPart,         // element of kContent
  kSystemPart,   // element of kSystem
  kBatchElement,
  kToken,
  kSideElement,
};

// An open object or array whose members matter.
enum class Context : std::uint8_t {
  kRoot,
  kOptions,
  kEngineOptions,
  kMediaList,
  kMessageList,
  kMessage,
  kPartList,
  kPart,
  kSystemList,
  kSystemPart,
  kBatchList,
  kTokenList,
  kSideList,
  kDocument,
};

struct FieldRow {
  std::string_view key;
  Act act;
};

constexpr std::size_t kRootFieldsMax = 24;
constexpr std::size_t kKeyBytesMax = 64;  // longer keys are none of ours

std::span<const FieldRow> root_fields(Api api);
std::size_t root_row(Api api, std::string_view key);  // kRootFieldsMax when it has none
Act member_act(Context object, std::string_view key);
Act element_act(Context array);

}  // namespace infermesh::openai
