// Error bodies: infermesh's own errors and the engines', in the form that the client's route family
// uses.
//
//   OpenAI routes   {"error":{"message","type","param","code"}}            all four keys, always
//   /v1/messages    {"type":"error","error":{"type","message"},"request_id"}
//   /predictions    {"code","type","message"}, code being the status      (TorchServe)
//   other routes    {"error":"text"}                                       (KServe, admin)
//
// Status, types and retry advice of own errors come from api/schema/errors.yaml. An engine's error
// keeps its status and message; only the envelope is made anew, and never HTML or a stack trace
// passed on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "core/model/api.h"

namespace infermesh::openai {

enum class ErrorFamily : std::uint8_t { kOpenai, kAnthropic, kPlain, kTorchserve };

ErrorFamily error_family(Api api);

struct ErrorReply {
  std::uint16_t status = 500;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // content-type and retry advice
};

// When the table says that a retry helps both headers are sent: the error's retry_after, at most
// 8 s, or 1 s.
ErrorReply error_reply(ErrorFamily family, const Error& error, std::string_view request_id);

// The same error inside a stream whose head is already sent: one whole SSE event, or one line of
// Ollama's. The stream ends after it without [DONE]. `sequence_number` is the next one of a
// responses stream.
std::string error_event(Api api, const Error& error, std::string_view request_id,
                        std::uint64_t sequence_number = 0);

constexpr std::size_t kMessageBytesMax = 1024;  // of an engine's message that is passed on

// What an engine said, in our words.
struct UpstreamError {
  std::uint16_t status = 502;
  std::string message;
  std::string type;   // OpenAI style: invalid_request_error, ...
  std::string param;  // empty: none
  std::string code;   // empty: none
};

// Understands the forms of vLLM, SGLang, trtllm-serve, llama.cpp, TGI, Ollama, FastAPI, Triton and
// Anthropic. Anything else (HTML, empty, not JSON) gets a message of ours. `status` 0 stands for an
// error frame in a stream: the status is then taken from the frame, else 502.
UpstreamError normalize_upstream_error(Api api, std::uint16_t status, std::string_view content_type,
                                       std::string_view body);

ErrorReply error_reply(ErrorFamily family, const UpstreamError& error, std::string_view request_id);
std::string error_event(Api api, const UpstreamError& error, std::string_view request_id,
                        std::uint64_t sequence_number = 0);

}  // namespace infermesh::openai
