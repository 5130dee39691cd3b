#include "mock_answers.h"

#include <charconv>
#include <cstdio>

namespace infermesh::bench {
namespace {

constexpr std::size_t kAnswerBytes = 434;
constexpr std::size_t kEventBytes = 210;

std::string chunk(std::string_view data) {
  char size[24];
  const int count = std::snprintf(size, sizeof size, "%zx\r\n", data.size());
  return std::string(size, static_cast<std::size_t>(count)).append(data).append("\r\n");
}

std::string answer(int status, std::string_view type, std::string_view body) {
  std::string text = "HTTP/1.1 " + std::to_string(status) + (status == 200 ? " OK" : " Not Found");
  text += "\r\ncontent-type: " + std::string(type);
  text += "\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n";
  return text.append(body);
}

std::string padded(std::string head, std::size_t size, std::string_view tail) {
  const std::size_t have = head.size() + tail.size();
  head.append(size > have ? size - have : 0, 'x');
  return head.append(tail);
}

std::string metrics_page() {
  std::string text;
  for (const char* name : {"num_requests_running", "num_requests_waiting", "kv_cache_usage_perc"}) {
    const std::string full = std::string("vllm:") + name;
    text += "# HELP " + full + " A gauge.\n# TYPE " + full + " gauge\n";
    text += full + "{engine=\"0\",model_name=\"mock-model\"} 0.0\n";
  }
  return text;
}

std::uint64_t number_after(std::string_view body, std::string_view key, std::uint64_t otherwise) {
  auto at = body.find(key);
  if (at == std::string_view::npos) return otherwise;
  at = body.find_first_of("0123456789,}", at + key.size());
  std::uint64_t value = otherwise;
  if (at != std::string_view::npos)
    std::from_chars(body.data() + at, body.data() + body.size(), value);
  return value;
}

}  // namespace

Texts make_texts(std::string_view metrics) {
  Texts texts;
  texts.completion = answer(
      200, "application/json",
      padded(R"({"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"mock-model",)"
             R"("choices":[{"index":0,"message":{"role":"assistant","content":")",
             kAnswerBytes,
             R"("},"finish_reason":"stop"}],"usage":{"prompt_tokens":100,"completion_tokens":32,)"
             R"("total_tokens":132}})"));
  texts.stream_head =
      "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
      "cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";
  texts.event = chunk(padded(
      R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"mock-model",)"
      R"("choices":[{"index":0,"delta":{"content":")",
      kEventBytes, "\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n"));
  texts.usage = chunk(
      R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"mock-model",)"
      R"("choices":[],"usage":{"prompt_tokens":100,"completion_tokens":100,"total_tokens":200}})"
      "\n\n");
  texts.end = chunk("data: [DONE]\n\n") + "0\r\n\r\n";
  texts.models = answer(200, "application/json",
                        R"({"object":"list","data":[{"id":"mock-model","object":"model",)"
                        R"("created":1,"owned_by":"vllm","root":"mock-model","parent":null,)"
                        R"("max_model_len":131072}]})");
  texts.info = answer(200, "application/json",
                      R"({"model_path":"mock-model","served_model_name":"mock-model",)"
                      R"("tokenizer_path":"mock-model","tp_size":1,"dp_size":1,)"
                      R"("version":"0.5.0","is_generation":true})");
  texts.version = answer(200, "application/json", R"({"version":"0.11.0"})");
  texts.load = answer(200, "application/json", R"({"server_load":0})");
  texts.healthy = answer(200, "text/plain", "");
  texts.nothing = answer(404, "application/json", R"({"detail":"Not Found"})");
  texts.metrics = answer(200, "text/plain; version=0.0.4",
                         metrics.empty() ? metrics_page() : std::string(metrics));
  return texts;
}

Ask read_ask(std::string_view body) {
  Ask ask;
  const auto stream = body.find("\"stream\":");
  if (stream == std::string_view::npos) return ask;
  ask.stream = body.substr(stream + 9, 5).find("tru") != std::string_view::npos;
  ask.usage = body.find("\"include_usage\":true") != std::string_view::npos;
  // Some routers write the request anew, with the newer name of the limit.
  ask.events =
      number_after(body, "\"max_tokens\":", number_after(body, "\"max_completion_tokens\":", 32));
  ask.pause_ns = static_cast<std::int64_t>(number_after(body, "\"seed\":", 0)) * 1'000'000;
  return ask;
}

std::string rendered(std::string_view body) {
  std::string text = R"({"token_ids":[)";
  for (std::size_t at = 0; at + 5 <= body.size(); at += 5) {
    std::uint32_t token = 2166136261u;
    for (const char byte : body.substr(at, 5))
      token = (token ^ static_cast<unsigned char>(byte)) * 16777619u;
    if (at > 0) text += ',';
    text += std::to_string(token % 64'000);
  }
  return answer(200, "application/json", text + "]}");
}

}  // namespace infermesh::bench
