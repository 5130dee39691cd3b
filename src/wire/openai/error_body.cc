#include "wire/openai/error_body.h"

#include <algorithm>
#include <array>

#include "core/model/api_kind.h"
#include "wire/json/write.h"

namespace infermesh::openai {
namespace {

constexpr Duration kRetryAfterMax = 8s;  // what every SDK honours
constexpr Duration kRetryAfter = 1s;     // when nothing is known

// An error with its words chosen, on the way into an envelope.
struct Words {
  std::uint16_t status;
  std::string_view message;
  std::string_view type;
  std::string_view param;
  std::string_view code;
};

void append_openai(std::string& out, const Words& words) {
  out.push_back('{');
  json::append_key(out, "message");
  json::append_string(out, words.message);
  json::append_key(out, "type");
  json::append_string(out, words.type);
  json::append_key(out, "param");
  json::append_string_or_null(out, words.param);
  json::append_key(out, "code");
  json::append_string_or_null(out, words.code);
  out.push_back('}');
}

std::string openai_body(const Words& words) {
  std::string out = "{\"error\":";
  append_openai(out, words);
  out.push_back('}');
  return out;
}

std::string anthropic_body(const Words& words, std::string_view request_id) {
  std::string out = R"({"type":"error","error":{)";
  json::append_key(out, "type");
  json::append_string(out, words.type);
  json::append_key(out, "message");
  json::append_string(out, words.message);
  out.push_back('}');
  json::append_key(out, "request_id");
  json::append_string_or_null(out, request_id);
  out.push_back('}');
  return out;
}

std::string torchserve_body(const Words& words) {
  std::string out = R"({"code":)" + std::to_string(words.status);
  json::append_key(out, "type");
  json::append_string(out, words.code.empty() ? words.type : words.code);
  json::append_key(out, "message");
  json::append_string(out, words.message);
  out.push_back('}');
  return out;
}

std::string body_of(ErrorFamily family, const Words& words, std::string_view request_id) {
  switch (family) {
    case ErrorFamily::kOpenai:
      return openai_body(words);
    case ErrorFamily::kAnthropic:
      return anthropic_body(words, request_id);
    case ErrorFamily::kPlain:
      return "{\"error\":" + json::quoted(words.message) + "}";
    case ErrorFamily::kTorchserve:
      return torchserve_body(words);
  }
  return {};
}

// Older SDKs only notice an error event that has a top-level `error`, so the responses form carries
// both.
std::string responses_data(const Words& words, std::uint64_t sequence_number) {
  std::string out = R"({"type":"error")";
  json::append_key(out, "code");
  json::append_string_or_null(out, words.code);
  json::append_key(out, "message");
  json::append_string(out, words.message);
  json::append_key(out, "param");
  json::append_string_or_null(out, words.param);
  json::append_key(out, "sequence_number");
  json::append_number(out, static_cast<std::int64_t>(sequence_number));
  json::append_key(out, "error");
  append_openai(out, words);
  out.push_back('}');
  return out;
}

std::string event_of(Api api, const Words& words, std::string_view request_id,
                     std::uint64_t sequence_number) {
  switch (api) {
    case Api::kMessages:
      return "event: error\ndata: " + anthropic_body(words, request_id) + "\n\n";
    case Api::kResponses:
    case Api::kStoredResponse:
      return "event: error\ndata: " + responses_data(words, sequence_number) + "\n\n";
    case Api::kOllamaChat:
    case Api::kOllamaGenerate:
      return body_of(ErrorFamily::kPlain, words, request_id) + "\n";
    default:
      return "data: " + body_of(error_family(api), words, request_id) + "\n\n";
  }
}

// What happened and why, then the next step. For an unknown model the near names are that.
std::string message_of(const Error& error) {
  const ErrorInfo& info = error_info(error.code);
  std::string message = error.detail.empty() ? std::string(info.what) : error.detail;
  if (error.code == ErrorCode::kModelNotFound && !error.detail.empty()) return message;
  if (!message.ends_with('.')) message.push_back('.');
  return message.append(" ").append(info.next);
}

// `message` is what the words point into.
Words words_of(ErrorFamily family, const Error& error, const std::string& message) {
  const ErrorInfo& info = error_info(error.code);
  const bool anthropic = family == ErrorFamily::kAnthropic;
  return {.status = anthropic ? info.anthropic_status : info.status,
          .message = message,
          .type = anthropic ? info.anthropic_type : info.type,
          .param = error.param,
          .code = info.name};
}

constexpr std::array<std::string_view, 11> kAnthropicTypes{
    "invalid_request_error", "authentication_error", "billing_error",   "permission_error",
    "not_found_error",       "conflict_error",       "api_error",       "request_too_large",
    "rate_limit_error",      "timeout_error",        "overloaded_error"};

std::string_view anthropic_type(std::uint16_t status, std::string_view type) {
  // What holds for any request gives way to what the status says more exactly.
  const bool general = type == "invalid_request_error";
  const bool known = std::ranges::find(kAnthropicTypes, type) != kAnthropicTypes.end();
  if (known && !general) return type;
  switch (status) {
    case 401:
      return "authentication_error";
    case 402:
      return "billing_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 409:
      return "conflict_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 408:
    case 504:
      return "timeout_error";
    case 503:
    case 529:
      return "overloaded_error";
    default:
      return status >= 400 && status < 500 ? "invalid_request_error" : "api_error";
  }
}

Words words_of(ErrorFamily family, const UpstreamError& error) {
  return {.status = error.status,
          .message = error.message,
          .type = family == ErrorFamily::kAnthropic ? anthropic_type(error.status, error.type)
                                                    : std::string_view(error.type),
          .param = error.param,
          .code = error.code};
}

}  // namespace

ErrorFamily error_family(Api api) {
  if (api == Api::kPredictions) return ErrorFamily::kTorchserve;
  if (is_ollama(api) || is_tensor(api)) return ErrorFamily::kPlain;
  const bool anthropic = api == Api::kMessages || api == Api::kCountTokens;
  return anthropic ? ErrorFamily::kAnthropic : ErrorFamily::kOpenai;
}

ErrorReply error_reply(ErrorFamily family, const Error& error, std::string_view request_id) {
  const std::string message = message_of(error);
  const Words words = words_of(family, error, message);
  ErrorReply reply{words.status, body_of(family, words, request_id), {}};
  reply.headers.emplace_back("content-type", "application/json");
  const RetryAdvice advice = error_info(error.code).retry;
  if (advice == RetryAdvice::kNo) reply.headers.emplace_back("x-should-retry", "false");
  if (advice == RetryAdvice::kYes) {
    const Duration wait = error.retry_after > Duration::zero()
                              ? std::clamp<Duration>(error.retry_after, 1ms, kRetryAfterMax)
                              : kRetryAfter;
    const auto millis = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
    reply.headers.emplace_back("x-should-retry", "true");
    reply.headers.emplace_back("retry-after-ms", std::to_string(millis));
    reply.headers.emplace_back("retry-after", std::to_string((millis + 999) / 1000));
  }
  return reply;
}

ErrorReply error_reply(ErrorFamily family, const UpstreamError& error,
                       std::string_view request_id) {
  const Words words = words_of(family, error);
  return {words.status, body_of(family, words, request_id), {{"content-type", "application/json"}}};
}

std::string error_event(Api api, const Error& error, std::string_view request_id,
                        std::uint64_t sequence_number) {
  const std::string message = message_of(error);
  const Words words = words_of(error_family(api), error, message);
  return event_of(api, words, request_id, sequence_number);
}

std::string error_event(Api api, const UpstreamError& error, std::string_view request_id,
                        std::uint64_t sequence_number) {
  return event_of(api, words_of(error_family(api), error), request_id, sequence_number);
}

}  // namespace infermesh::openai
