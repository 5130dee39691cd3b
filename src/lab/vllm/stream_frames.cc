#include "lab/vllm/stream_frames.h"

#include <fmt/format.h>

#include <iterator>

#include "lab/vllm/answer_parts.h"
#include "wire/json/write.h"

namespace infermesh::lab {

StreamFrames::StreamFrames(Api api, AnswerId id, const Ask& ask)
    : api_(api), id_(std::move(id)), usage_(ask.usage), continuous_usage_(ask.continuous_usage) {
  prefix_ = fmt::format(R"(data: {{"id":"{}","object":"{}","created":{},"model":{},"choices":[)",
                        id_.id, api == Api::kChat ? "chat.completion.chunk" : "text_completion",
                        id_.created, json::quoted(id_.model));
  if (api == Api::kResponses) item_id_ = "msg_" + id_.id.substr(id_.id.find('_') + 1);
}

std::string StreamFrames::opening(const Usage& usage) {
  switch (api_) {
    case Api::kChat:
      return open_chat(usage);
    case Api::kMessages:
      return open_message(usage);
    case Api::kResponses:
      return open_response(usage);
    default:
      return {};
  }
}

std::string StreamFrames::token(std::uint32_t choice, std::string_view text, const Usage& usage) {
  std::string out;
  if (api_ == Api::kMessages) {
    event(out, "content_block_delta",
          fmt::format(R"(,"index":0,"delta":{{"type":"text_delta","text":"{}"}})", text));
    return out;
  }
  if (api_ == Api::kResponses) {
    text_ += text;
    event(out, "response.output_text.delta",
          fmt::format(R"(,"output_index":0,"content_index":0,"item_id":"{}","delta":"{}")",
                      item_id_, text));
    return out;
  }
  return chunk(choice, text, "null", usage);
}

std::string StreamFrames::last_token(std::uint32_t choice, std::string_view text,
                                     FinishReason reason, const Usage& usage) {
  if (api_ == Api::kMessages || api_ == Api::kResponses) return token(choice, text, usage);
  return chunk(choice, text, reason == FinishReason::kStop ? "\"stop\"" : "\"length\"", usage);
}

std::string StreamFrames::closing(const Usage& usage) {
  if (api_ == Api::kResponses) return close_response();
  std::string out;
  if (api_ == Api::kMessages) {
    event(out, "content_block_stop", R"(,"index":0)");
  } else if (usage_) {
    out = fmt::format("{}],\"usage\":{},\"system_fingerprint\":\"{}\"}}\n\n", prefix_,
                      openai_usage(usage), id_.fingerprint);
  }
  return out;
}

std::string StreamFrames::terminal(FinishReason reason, const Usage& usage) {
  std::string out;
  if (api_ == Api::kMessages) {
    event(out, "message_delta",
          fmt::format(
              R"(,"delta":{{"stop_reason":"{}","stop_sequence":null}},"usage":{{"input_tokens":{},)"
              R"("output_tokens":{}}})",
              anthropic_stop(reason), usage.prompt_tokens - usage.cached_tokens,
              usage.completion_tokens));
    event(out, "message_stop", "");
    return out;
  }
  if (api_ == Api::kResponses) {
    const std::string_view status = reason == FinishReason::kStop ? "completed" : "incomplete";
    event(out, fmt::format("response.{}", status),
          ",\"response\":" + response_object(id_, status, &text_, usage));
    return out;
  }
  return "data: [DONE]\n\n";
}

std::string StreamFrames::chunk(std::uint32_t choice, std::string_view text,
                                std::string_view finish, const Usage& usage) {
  std::string frame = prefix_;
  const auto to = std::back_inserter(frame);
  // Tokens are safe inside a JSON string as they are.
  if (api_ == Api::kChat) {
    fmt::format_to(
        to,
        R"({{"index":{},"delta":{{"content":"{}"}},"logprobs":null,"finish_reason":{},"token_ids":null}}])",
        choice, text, finish);
  } else {
    fmt::format_to(
        to, R"({{"index":{},"text":"{}","logprobs":null,"finish_reason":{},"stop_reason":null}}])",
        choice, text, finish);
  }
  if (continuous_usage_) frame += ",\"usage\":" + openai_usage(usage);
  frame += "}\n\n";
  return frame;
}

void StreamFrames::event(std::string& out, std::string_view type, std::string_view rest) {
  const std::string sequence = api_ == Api::kResponses
                                   ? fmt::format(R"(,"sequence_number":{})", sequence_++)
                                   : std::string();
  fmt::format_to(std::back_inserter(out), "event: {0}\ndata: {{\"type\":\"{0}\"{1}{2}}}\n\n", type,
                 sequence, rest);
}

std::string StreamFrames::open_chat(const Usage& usage) {
  std::string frame = prefix_;
  frame +=
      R"({"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}])";
  if (continuous_usage_) frame += ",\"usage\":" + openai_usage(usage);
  return frame + "}\n\n";
}

std::string StreamFrames::open_message(const Usage& usage) {
  std::string out;
  event(out, "message_start",
        fmt::format(
            R"(,"message":{{"id":"{}","type":"message","role":"assistant","content":[],"model":{},)"
            R"("stop_reason":null,"usage":{{"input_tokens":{},"output_tokens":0,)"
            R"("cache_read_input_tokens":{}}}}})",
            id_.id, json::quoted(id_.model), usage.prompt_tokens - usage.cached_tokens,
            usage.cached_tokens));
  event(out, "content_block_start", R"(,"index":0,"content_block":{"type":"text","text":""})");
  return out;
}

std::string StreamFrames::open_response(const Usage& usage) {
  std::string out;
  const std::string body = ",\"response\":" + response_object(id_, "in_progress", nullptr, usage);
  event(out, "response.created", body);
  event(out, "response.in_progress", body);
  event(out, "response.output_item.added",
        fmt::format(R"(,"output_index":0,"item":{{"id":"{}","content":[],"role":"assistant",)"
                    R"("status":"in_progress","type":"message"}})",
                    item_id_));
  event(out, "response.content_part.added",
        fmt::format(R"(,"output_index":0,"content_index":0,"item_id":"{}",)"
                    R"("part":{{"type":"output_text","text":"","annotations":[]}})",
                    item_id_));
  return out;
}

std::string StreamFrames::close_response() {
  std::string out;
  const std::string text = json::quoted(text_);
  const std::string place =
      fmt::format(R"(,"output_index":0,"content_index":0,"item_id":"{}")", item_id_);
  const std::string part =
      fmt::format(R"({{"type":"output_text","text":{},"annotations":[]}})", text);
  event(out, "response.output_text.done", fmt::format(R"({},"text":{})", place, text));
  event(out, "response.content_part.done", fmt::format(R"({},"part":{})", place, part));
  event(out, "response.output_item.done",
        fmt::format(R"(,"output_index":0,"item":{{"id":"{}","content":[{}],"role":"assistant",)"
                    R"("status":"completed","type":"message"}})",
                    item_id_, part));
  return out;
}

}  // namespace infermesh::lab
