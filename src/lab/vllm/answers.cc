#include "lab/vllm/answers.h"

#include <fmt/format.h>

#include <iterator>

#include "lab/vllm/answer_parts.h"
#include "wire/json/write.h"

namespace infermesh::lab {
namespace {

std::string chat_body(const AnswerId& id, std::span<const Choice> choices, const Usage& usage) {
  std::string list;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    fmt::format_to(
        std::back_inserter(list),
        R"({}{{"index":{},"message":{{"role":"assistant","content":{},"refusal":null,"annotations":null,)"
        R"("audio":null,"function_call":null,"reasoning":null}},"logprobs":null,"finish_reason":"{}",)"
        R"("stop_reason":null,"token_ids":null}})",
        i == 0 ? "" : ",", i, json::quoted(choices[i].text), to_string(choices[i].reason));
  }
  return fmt::format(
      R"({{"id":"{}","object":"chat.completion","created":{},"model":{},"choices":[{}],"service_tier":null,)"
      R"("system_fingerprint":"{}","usage":{},"prompt_logprobs":null,"kv_transfer_params":null}})",
      id.id, id.created, json::quoted(id.model), list, id.fingerprint, openai_usage(usage));
}

std::string completion_body(const AnswerId& id, std::span<const Choice> choices,
                            const Usage& usage) {
  std::string list;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    fmt::format_to(
        std::back_inserter(list),
        R"({}{{"index":{},"text":{},"logprobs":null,"finish_reason":"{}","stop_reason":null,)"
        R"("token_ids":null,"prompt_logprobs":null}})",
        i == 0 ? "" : ",", i, json::quoted(choices[i].text), to_string(choices[i].reason));
  }
  return fmt::format(
      R"({{"id":"{}","object":"text_completion","created":{},"model":{},"choices":[{}],"service_tier":null,)"
      R"("system_fingerprint":"{}","usage":{},"kv_transfer_params":null}})",
      id.id, id.created, json::quoted(id.model), list, id.fingerprint, openai_usage(usage));
}

std::string messages_body(const AnswerId& id, const Choice& choice, const Usage& usage) {
  return fmt::format(
      R"({{"id":"{}","type":"message","role":"assistant","content":[{{"type":"text","text":{}}}],"model":{},)"
      R"("stop_reason":"{}","usage":{{"input_tokens":{},"output_tokens":{},"cache_read_input_tokens":{}}}}})",
      id.id, json::quoted(choice.text), json::quoted(id.model), anthropic_stop(choice.reason),
      usage.prompt_tokens - usage.cached_tokens, usage.completion_tokens, usage.cached_tokens);
}

}  // namespace

std::string openai_usage(const Usage& usage) {
  return fmt::format(
      R"({{"prompt_tokens":{},"total_tokens":{},"completion_tokens":{},"prompt_tokens_details":{{"cached_tokens":{}}}}})",
      usage.prompt_tokens, usage.prompt_tokens + usage.completion_tokens, usage.completion_tokens,
      usage.cached_tokens);
}

std::string_view anthropic_stop(FinishReason reason) {
  return reason == FinishReason::kStop ? "end_turn" : "max_tokens";
}

std::string response_object(const AnswerId& id, std::string_view status, const std::string* text,
                            const Usage& usage) {
  std::string output;
  if (text != nullptr) {
    output = fmt::format(
        R"({{"id":"msg_{0}","content":[{{"annotations":[],"text":{1},"type":"output_text","logprobs":null}}],)"
        R"("role":"assistant","status":"completed","type":"message"}})",
        id.id.substr(5), json::quoted(*text));
  }
  const std::string used =
      text == nullptr
          ? "null"
          : fmt::format(
                R"({{"input_tokens":{},"input_tokens_details":{{"cached_tokens":{}}},"output_tokens":{},)"
                R"("output_tokens_details":{{"reasoning_tokens":0}},"total_tokens":{}}})",
                usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens,
                usage.prompt_tokens + usage.completion_tokens);
  return fmt::format(
      R"({{"id":"{}","created_at":{},"incomplete_details":{},"instructions":null,"metadata":null,"model":{},)"
      R"("object":"response","output":[{}],"parallel_tool_calls":true,"temperature":1.0,"tool_choice":"none",)"
      R"("tools":[],"top_p":1.0,"status":"{}","usage":{}}})",
      id.id, id.created, status == "incomplete" ? R"({"reason":"max_output_tokens"})" : "null",
      json::quoted(id.model), output, status, used);
}

std::string generation_body(Api api, const AnswerId& id, std::span<const Choice> choices,
                            const Usage& usage) {
  switch (api) {
    case Api::kCompletions:
      return completion_body(id, choices, usage);
    case Api::kMessages:
      return messages_body(id, choices[0], usage);
    case Api::kResponses:
      return response_object(id,
                             choices[0].reason == FinishReason::kStop ? "completed" : "incomplete",
                             &choices[0].text, usage);
    default:
      return chat_body(id, choices, usage);
  }
}

std::string error_body(const Refusal& refusal) {
  std::string out = "{\"error\":{\"message\":";
  json::append_string(out, refusal.message);
  out += ",\"type\":" + json::quoted(refusal.type) + ",\"param\":";
  json::append_string_or_null(out, refusal.param);
  return out + fmt::format(",\"code\":{}}}}}", refusal.status);
}

std::string anthropic_error_body(const Refusal& refusal) {
  return fmt::format(R"({{"type":"error","error":{{"type":{},"message":{}}}}})",
                     json::quoted(refusal.type), json::quoted(refusal.message));
}

std::string models_body(std::span<const std::string> models, std::int64_t created,
                        std::uint64_t context_tokens_max) {
  std::string list;
  for (const auto& model : models) {
    if (!list.empty()) list += ',';
    list += fmt::format(
        R"({{"id":{0},"object":"model","created":{1},"owned_by":"vllm","root":{2},"parent":null,"max_model_len":{3},)"
        R"("permission":[{{"id":"modelperm-{4:016x}","object":"model_permission","created":{1},)"
        R"("allow_create_engine":false,"allow_sampling":true,"allow_logprobs":true,"allow_search_indices":false,)"
        R"("allow_view":true,"allow_fine_tuning":false,"organization":"*","group":null,"is_blocking":false}}]}})",
        json::quoted(model), created, json::quoted(models[0]), context_tokens_max,
        hash_text(model));
  }
  return fmt::format(R"({{"object":"list","data":[{}]}})", list);
}

}  // namespace infermesh::lab
