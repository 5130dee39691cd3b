// The bodies that the simulated engine answers with, in vLLM's form (captures in testdata/). Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/model/api.h"
#include "lab/vllm/ask.h"
#include "lab/vllm/engine_metrics.h"

namespace infermesh::lab {

// What stays the same over one answer.
struct AnswerId {
  std::string id;            // "chatcmpl-...", "cmpl-...", "resp_..."
  std::int64_t created = 0;  // unix seconds
  std::string model;
  std::string fingerprint;  // "vllm-0.32.0-..."
};

struct Usage {
  std::uint64_t prompt_tokens = 0;
  std::uint64_t completion_tokens = 0;
  std::uint64_t cached_tokens = 0;
};

struct Choice {
  std::string text;
  FinishReason reason = FinishReason::kLength;
};

// Whole answers of the APIs that generate.
std::string generation_body(Api api, const AnswerId& id, std::span<const Choice> choices,
                            const Usage& usage);

std::string error_body(const Refusal& refusal);
std::string anthropic_error_body(const Refusal& refusal);
std::string models_body(std::span<const std::string> models, std::int64_t created,
                        std::uint64_t context_tokens_max);
std::string embeddings_body(const AnswerId& id, const Ask& ask, const Usage& usage);
std::string rerank_body(const AnswerId& id, const Ask& ask, const Usage& usage);
std::string score_body(const AnswerId& id, const Ask& ask, const Usage& usage);
std::string classify_body(const AnswerId& id, const Ask& ask, const Usage& usage);

}  // namespace infermesh::lab
