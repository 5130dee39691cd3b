// The places in an engine's answer that AnswerScan looks at. Internal to wire/openai.
#pragma once

#include <cstdint>

namespace infermesh::openai {

// One enumerator a place in the answer that matters; the table is in answer_scan.cc.
enum class AnswerNode : std::uint8_t {
  kSkip,
  kRoot,
  kResponsesRoot,
  kOllamaRoot,
  kOllamaMessage,
  kResponse,
  kMessage,
  kChoices,
  kChoice,
  kChoiceDelta,
  kDelta,
  kUsage,
  kPromptDetails,
  kOutputDetails,
  kTimings,
  kError,
  kObject,
  kType,
  kModel,
  kSequence,
  kId,
  kDone,
  kFinish,
  kContent,
  kContentList,
  // Numbers: an index into numbers_.
  kPromptTokens,
  kInputTokens,
  kCompletionTokens,
  kCachedTokens,
  kCacheReadTokens,
  kCacheWriteTokens,
  kReasoningTokens,
  kTimingsCached,
  kTimingsPrompt,
  kTimingsOutput,
};

}  // namespace infermesh::openai
