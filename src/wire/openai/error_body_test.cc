#include "wire/openai/error_body.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "wire/json/members.h"
#include "wire/json/write.h"

namespace infermesh::openai {
namespace {

struct Capture {
  std::uint16_t status = 0;
  std::string content_type;
  std::string body;
};

Capture capture(std::string_view name) {
  const std::string path =
      INFERMESH_SOURCE_DIR "/test/fixtures/engines/" + std::string(name) + ".http";
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  std::stringstream text;
  text << file.rdbuf();
  std::string all = text.str();
  Capture result;
  result.status = static_cast<std::uint16_t>(std::stoi(all.substr(9, 3)));
  const std::size_t head = all.find("\r\n\r\n");
  EXPECT_NE(head, std::string::npos) << path;
  for (const std::string_view field : {"content-type: ", "Content-Type: "}) {
    const std::size_t at = all.find(field);
    if (at < head) result.content_type = all.substr(at + 14, all.find("\r\n", at) - at - 14);
  }
  result.body = all.substr(head + 4);
  return result;
}

UpstreamError normalized(std::string_view name) {
  const Capture c = capture(name);
  return normalize_upstream_error(Api::kChat, c.status, c.content_type, c.body);
}

TEST(ErrorReply, OpenaiRoutesGetAllFourKeys) {
  const ErrorReply reply = error_reply(
      ErrorFamily::kOpenai,
      {ErrorCode::kModelNotFound, "The model 'x' is not served here. Nearest: \"y\".", "model"},
      "r1");
  EXPECT_EQ(reply.status, 404);
  EXPECT_EQ(reply.body,
            R"({"error":{"message":"The model 'x' is not served here. Nearest: \"y\".",)"
            R"("type":"not_found_error","param":"model","code":"model_not_found"}})");
  const ErrorReply plain = error_reply(ErrorFamily::kOpenai, {ErrorCode::kInvalidJson, "", ""}, "");
  EXPECT_EQ(plain.body,
            R"({"error":{"message":"The body is not a JSON object. Send one JSON object.",)"
            R"("type":"invalid_request_error","param":null,"code":"invalid_json"}})");
}

TEST(ErrorReply, MessagesGetTheAnthropicEnvelopeAndStatus) {
  const ErrorReply reply =
      error_reply(ErrorFamily::kAnthropic, {ErrorCode::kQueueFull, "Full.", ""}, "req-1");
  EXPECT_EQ(reply.status, 529);
  EXPECT_EQ(reply.body,
            R"({"type":"error","error":{"type":"overloaded_error","message":"Full. Try again )"
            R"(after retry-after-ms, or add engines to the pool."},"request_id":"req-1"})");
}

TEST(ErrorReply, AnEnginesErrorOnMessagesHasTheTypeOfItsStatus) {
  const auto type_of = [](std::uint16_t status, std::string_view body) {
    const UpstreamError said =
        normalize_upstream_error(Api::kMessages, status, "application/json", body);
    const std::string body_sent = error_reply(ErrorFamily::kAnthropic, said, "r").body;
    const auto members = json::read_members(body_sent);
    return json::find_member(*members, "error.type")->text();
  };
  const std::string_view plain = R"({"detail":"No."})";
  EXPECT_EQ(type_of(400, plain), "invalid_request_error");
  EXPECT_EQ(type_of(402, plain), "billing_error");
  EXPECT_EQ(type_of(404, plain), "not_found_error");
  EXPECT_EQ(type_of(413, plain), "request_too_large");
  EXPECT_EQ(type_of(422, plain), "invalid_request_error");
  EXPECT_EQ(type_of(500, plain), "api_error");
  EXPECT_EQ(type_of(503, plain), "overloaded_error");
  EXPECT_EQ(type_of(529, R"({"type":"error","error":{"type":"overloaded_error","message":"x"}})"),
            "overloaded_error");
}

TEST(ErrorReply, OtherRoutesGetText) {
  EXPECT_EQ(error_reply(ErrorFamily::kPlain, {ErrorCode::kInternal, "Odd.", ""}, "").body,
            R"({"error":"Odd. Report it with the request id."})");
}

TEST(ErrorReply, SaysWhatHappenedAndThenTheNextStep) {
  for (std::size_t i = 0; i < kErrorCodes; ++i) {
    const ErrorInfo& info = error_info(static_cast<ErrorCode>(i));
    EXPECT_TRUE(info.what.ends_with('.') && info.next.ends_with('.')) << info.name;
    const auto body = [&](std::string detail) {
      const Error error{static_cast<ErrorCode>(i), std::move(detail), ""};
      return error_reply(ErrorFamily::kPlain, error, "").body;
    };
    EXPECT_EQ(
        body(""),
        "{\"error\":" + json::quoted(std::string(info.what) + " " + std::string(info.next)) + "}");
    if (static_cast<ErrorCode>(i) == ErrorCode::kModelNotFound) continue;  // the nearest names
    EXPECT_EQ(body("Gone"), "{\"error\":" + json::quoted("Gone. " + std::string(info.next)) + "}");
  }
}

TEST(ErrorReply, RetryHeadersFollowTheTable) {
  using Headers = std::vector<std::pair<std::string, std::string>>;
  const Headers yes{{"content-type", "application/json"},
                    {"x-should-retry", "true"},
                    {"retry-after-ms", "1500"},
                    {"retry-after", "2"}};
  EXPECT_EQ(error_reply(ErrorFamily::kOpenai, {ErrorCode::kQueueFull, "", "", 1500ms}, "").headers,
            yes);
  const Headers no{{"content-type", "application/json"}, {"x-should-retry", "false"}};
  EXPECT_EQ(error_reply(ErrorFamily::kOpenai, {ErrorCode::kInvalidJson, "", ""}, "").headers, no);
  EXPECT_EQ(
      error_reply(ErrorFamily::kOpenai, {ErrorCode::kQueueFull, "", "", 1h}, "").headers[2].second,
      "8000");
  EXPECT_EQ(
      error_reply(ErrorFamily::kOpenai, {ErrorCode::kQueueFull, "", ""}, "").headers[2].second,
      "1000");
}

TEST(ErrorReply, EveryCodeMakesValidJsonInEveryFamily) {
  for (std::size_t i = 0; i < kErrorCodes; ++i) {
    for (const auto family : {ErrorFamily::kOpenai, ErrorFamily::kAnthropic, ErrorFamily::kPlain}) {
      const ErrorReply reply =
          error_reply(family, {static_cast<ErrorCode>(i), "\xff\"\n", "p"}, "r");
      EXPECT_TRUE(json::read_members(reply.body).has_value()) << reply.body;
      EXPECT_GE(reply.status, 400);
    }
  }
}

TEST(ErrorEvent, HasTheFormOfItsApi) {
  const Error error{ErrorCode::kStreamTruncated, "Cut.", ""};
  const std::string text = "Cut. Ask again; what was sent cannot be taken back.";
  EXPECT_EQ(error_event(Api::kChat, error, "r"),
            "data: {\"error\":{\"message\":\"" + text +
                "\",\"type\":\"upstream_error\",\"param\":null,"
                "\"code\":\"stream_truncated\"}}\n\n");
  EXPECT_EQ(error_event(Api::kMessages, error, "r"),
            "event: error\ndata: "
            "{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"" +
                text +
                "\"},"
                "\"request_id\":\"r\"}\n\n");
  EXPECT_EQ(error_event(Api::kResponses, error, "r", 12),
            "event: error\ndata: {\"type\":\"error\",\"code\":\"stream_truncated\",\"message\":\"" +
                text +
                "\","
                "\"param\":null,\"sequence_number\":12,\"error\":{\"message\":\"" +
                text +
                "\",\"type\":\"upstream_"
                "error\","
                "\"param\":null,\"code\":\"stream_truncated\"}}\n\n");
}

TEST(UpstreamErrors, OfVllm) {
  const UpstreamError temperature = normalized("vllm/error-bad-temperature");
  EXPECT_EQ(temperature.status, 400);
  EXPECT_EQ(temperature.message,
            "temperature must be non-negative, got -3.0. (parameter=temperature, value=-3.0)");
  EXPECT_EQ(temperature.type, "invalid_request_error");
  EXPECT_EQ(temperature.param, "temperature");
  EXPECT_EQ(temperature.code, "");
  const UpstreamError model = normalized("vllm/error-unknown-model");
  EXPECT_EQ(model.status, 404);
  EXPECT_EQ(model.type, "not_found_error");
  EXPECT_EQ(model.code, "model_not_found");
  EXPECT_EQ(normalized("vllm/error-401").message, "Unauthorized");
  EXPECT_EQ(normalized("vllm/error-401").type, "authentication_error");
  EXPECT_EQ(normalized("vllm/error-404").message, "Not Found");
  EXPECT_EQ(normalized("vllm/error-405").message, "Method Not Allowed");
  EXPECT_EQ(normalized("vllm/error-405").status, 405);
  EXPECT_TRUE(
      normalized("vllm/error-too-long").message.starts_with("This model's maximum context"));
}

TEST(UpstreamErrors, OfSglangWithoutItsSourcePaths) {
  for (const std::string_view name : {"sglang/error-bad-json", "sglang/error-bad-type",
                                      "sglang/error-empty-body", "sglang/error-no-messages"}) {
    const UpstreamError error = normalized(name);
    EXPECT_EQ(error.status, 400);
    EXPECT_EQ(error.type, "invalid_request_error");
    EXPECT_TRUE(error.message.starts_with("1 validation error:")) << error.message;
    EXPECT_FALSE(error.message.contains("File \"")) << error.message;
    EXPECT_FALSE(error.message.contains(".py")) << error.message;
  }
  EXPECT_EQ(normalized("sglang/error-bad-temperature").message,
            "temperature must be a non-negative finite number, got -3.0.");
}

TEST(UpstreamErrors, OfLlamacpp) {
  const UpstreamError unauthorized = normalized("llama.cpp/error-401");
  EXPECT_EQ(unauthorized.message, "Invalid API Key");
  EXPECT_EQ(unauthorized.type, "authentication_error");
  const UpstreamError too_long = normalized("llama.cpp/error-too-long");
  EXPECT_EQ(too_long.type, "exceed_context_size_error");
  EXPECT_EQ(too_long.code, "");
  EXPECT_EQ(normalized("llama.cpp/v1-rerank").status, 501);
}

TEST(UpstreamErrors, EveryCapturedErrorGivesAMessageAndAValidBody) {
  for (const std::string_view name : {"vllm/error-401",
                                      "vllm/error-404",
                                      "vllm/error-405",
                                      "vllm/error-bad-json",
                                      "vllm/error-bad-temperature",
                                      "vllm/error-bad-type",
                                      "vllm/error-empty-body",
                                      "vllm/error-no-messages",
                                      "vllm/error-too-long",
                                      "vllm/error-unknown-model",
                                      "vllm/lora-load-again",
                                      "vllm/lora-load-missing",
                                      "vllm/embeddings",
                                      "sglang/error-401",
                                      "sglang/error-404",
                                      "sglang/error-405",
                                      "sglang/error-bad-json",
                                      "sglang/error-bad-temperature",
                                      "sglang/error-bad-type",
                                      "sglang/error-empty-body",
                                      "sglang/error-no-messages",
                                      "sglang/error-too-long",
                                      "llama.cpp/error-401",
                                      "llama.cpp/error-404",
                                      "llama.cpp/error-bad-json",
                                      "llama.cpp/error-bad-type",
                                      "llama.cpp/error-empty-body",
                                      "llama.cpp/error-no-messages",
                                      "llama.cpp/error-too-long",
                                      "llama.cpp/rerank",
                                      "llama.cpp/embeddings"}) {
    const Capture c = capture(name);
    ASSERT_GE(c.status, 400) << name;
    const UpstreamError error =
        normalize_upstream_error(Api::kMessages, c.status, c.content_type, c.body);
    EXPECT_EQ(error.status, c.status) << name;
    EXPECT_FALSE(error.message.contains("without a message")) << name << error.message;
    const ErrorReply reply = error_reply(ErrorFamily::kAnthropic, error, "r");
    const auto members = json::read_members(reply.body);
    ASSERT_TRUE(members.has_value()) << reply.body;
    EXPECT_EQ(json::find_member(*members, "error.message")->text(), error.message);
    EXPECT_TRUE(json::read_members(error_reply(ErrorFamily::kOpenai, error, "r").body).has_value());
  }
}

UpstreamError of(std::uint16_t status, std::string_view type, std::string_view body) {
  return normalize_upstream_error(Api::kChat, status, type, body);
}

TEST(UpstreamErrors, OfTheOtherRuntimes) {
  const UpstreamError tgi =
      of(422, "application/json",
         R"({"error":"Input validation error: too long","error_type":"validation"})");
  EXPECT_EQ(tgi.message, "Input validation error: too long");
  EXPECT_EQ(tgi.type, "invalid_request_error");
  EXPECT_EQ(tgi.code, "validation");
  EXPECT_EQ(of(404, "application/json", R"({"error":"model 'x' not found"})").message,
            "model 'x' not found");
  EXPECT_EQ(of(422, "application/json",
               R"({"detail":[{"loc":["body"],"msg":"field required","type":"missing"}]})")
                .message,
            "field required");
  const UpstreamError anthropic =
      of(429, "application/json",
         R"({"type":"error","error":{"type":"rate_limit_error","message":"Slow down"}})");
  EXPECT_EQ(anthropic.message, "Slow down");
  EXPECT_EQ(anthropic.type, "rate_limit_error");
  const UpstreamError openai = of(
      400, "application/json",
      R"({"error":{"message":"m","type":"invalid_request_error","param":null,"code":"context_length_exceeded"}})");
  EXPECT_EQ(openai.code, "context_length_exceeded");
  EXPECT_EQ(openai.param, "");
  EXPECT_EQ(of(500, "text/plain", "failed to open the cuda device\n").message,
            "failed to open the cuda device");
}

TEST(UpstreamErrors, MarkupAndEmptyBodiesGetAMessageOfOurs) {
  const std::string ours = "The engine answered 502 without a message that can be passed on.";
  EXPECT_EQ(of(502, "text/html", "<html><body><h1>502 Bad Gateway</h1></body></html>").message,
            ours);
  EXPECT_EQ(of(502, "text/plain", "  <!DOCTYPE html><html>").message, ours);
  EXPECT_EQ(of(502, "text/plain", "\x04 <h1>x</h1>").message, ours);
  EXPECT_EQ(of(502, "", "").message, ours);
  EXPECT_EQ(of(502, "application/json", "{").message, ours);
  EXPECT_EQ(of(502, "application/json", R"({"error":{"message":"<html>x</html>"}})").message, ours);
  EXPECT_EQ(of(502, "application/octet-stream", "\x01\x02").message, ours);
  EXPECT_EQ(of(503, "", "").type, "overloaded_error");
}

TEST(UpstreamErrors, StackTracesAreCut) {
  EXPECT_EQ(
      of(500, "application/json",
         R"({"error":"boom\nTraceback (most recent call last):\n  File \"/srv/a.py\", line 1, in f\nValueError: x"})")
          .message,
      "boom");
  EXPECT_EQ(of(500, "text/plain", "Error: bad\n    at run (/srv/app.js:10:5)\n").message,
            "Error: bad");
  EXPECT_EQ(
      of(500, "text/plain", "Traceback (most recent call last):\n  File \"a\", line 1").message,
      "The engine answered 500 without a message that can be passed on.");
}

TEST(UpstreamErrors, MessagesAreBounded) {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "é";
  const std::string message = of(400, "text/plain", text).message;
  EXPECT_LE(message.size(), kMessageBytesMax);
  EXPECT_GE(message.size(), kMessageBytesMax - 4);
  EXPECT_TRUE(message.ends_with("é..."));
}

TEST(UpstreamErrors, FramesOfAStreamBringTheirOwnStatus) {
  const UpstreamError error =
      of(0, "",
         R"({"error":{"object":"error","message":"aborted","type":"BadRequestError","code":400}})");
  EXPECT_EQ(error.status, 400);
  EXPECT_EQ(error.type, "invalid_request_error");
  EXPECT_EQ(of(0, "", R"({"error":{"message":"x"}})").status, 502);
}

}  // namespace
}  // namespace infermesh::openai
