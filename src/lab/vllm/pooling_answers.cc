// Answers of the APIs that read text and make numbers: embeddings, rerank, score, classify.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <numeric>
#include <vector>

#include "lab/vllm/answers.h"
#include "wire/json/write.h"

namespace infermesh::lab {
namespace {

std::string model_of(const AnswerId& id) {
  std::string out;
  json::append_string(out, id.model);
  return out;
}

std::string prompt_usage(const Usage& usage) {
  return fmt::format(
      R"({{"prompt_tokens":{0},"total_tokens":{0},"completion_tokens":0,"prompt_tokens_details":null}})",
      usage.prompt_tokens);
}

}  // namespace

std::string embeddings_body(const AnswerId& id, const Ask& ask, const Usage& usage) {
  std::string list;
  const auto to = std::back_inserter(list);
  for (std::size_t i = 0; i < ask.prompts.size(); ++i) {
    fmt::format_to(to, "{}{{\"index\":{},\"object\":\"embedding\",\"embedding\":[",
                   i == 0 ? "" : ",", i);
    for (std::uint32_t d = 0; d < ask.dimensions; ++d) {
      fmt::format_to(to, "{}{:.6f}", d == 0 ? "" : ",", embedding_value(ask.prompts[i].hash(), d));
    }
    list += "]}";
  }
  return fmt::format(
      R"({{"id":"{}","object":"list","created":{},"model":{},"data":[{}],"usage":{}}})", id.id,
      id.created, model_of(id), list, prompt_usage(usage));
}

std::string rerank_body(const AnswerId& id, const Ask& ask, const Usage& usage) {
  std::vector<std::size_t> order(ask.prompts.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return score_of(ask.prompts[a].hash()) > score_of(ask.prompts[b].hash());
  });
  std::string list;
  for (const std::size_t i : order) {
    fmt::format_to(std::back_inserter(list), R"({}{{"index":{},"relevance_score":{:.6f}}})",
                   list.empty() ? "" : ",", i, score_of(ask.prompts[i].hash()));
  }
  return fmt::format(
      R"({{"id":"{}","model":{},"usage":{{"prompt_tokens":{},"total_tokens":{}}},"results":[{}]}})",
      id.id, model_of(id), usage.prompt_tokens, usage.prompt_tokens, list);
}

std::string score_body(const AnswerId& id, const Ask& ask, const Usage& usage) {
  std::string list;
  for (std::size_t i = 0; i < ask.prompts.size(); ++i) {
    fmt::format_to(std::back_inserter(list), R"({}{{"index":{},"object":"score","score":{:.6f}}})",
                   i == 0 ? "" : ",", i, score_of(ask.prompts[i].hash()));
  }
  return fmt::format(
      R"({{"id":"{}","object":"list","created":{},"model":{},"data":[{}],"usage":{}}})", id.id,
      id.created, model_of(id), list, prompt_usage(usage));
}

std::string classify_body(const AnswerId& id, const Ask& ask, const Usage& usage) {
  std::string list;
  for (std::size_t i = 0; i < ask.prompts.size(); ++i) {
    const double yes = score_of(ask.prompts[i].hash());
    fmt::format_to(std::back_inserter(list),
                   R"({}{{"index":{},"label":"{}","probs":[{:.6f},{:.6f}],"num_classes":2}})",
                   i == 0 ? "" : ",", i, yes >= 0.5 ? "LABEL_1" : "LABEL_0", 1 - yes, yes);
  }
  return fmt::format(
      R"({{"id":"{}","object":"list","created":{},"model":{},"data":[{}],"usage":{}}})", id.id,
      id.created, model_of(id), list, prompt_usage(usage));
}

}  // namespace infermesh::lab
