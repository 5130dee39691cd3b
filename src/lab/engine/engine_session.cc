#include "lab/engine/engine_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "wire/http/write.h"

namespace infermesh::lab {
namespace {

struct InferenceRoute {
  std::string_view path;
  Api api;
};
constexpr std::array<InferenceRoute, 16> kInference{{{"/v1/chat/completions", Api::kChat},
                                                     {"/v1/completions", Api::kCompletions},
                                                     {"/v1/embeddings", Api::kEmbeddings},
                                                     {"/v1/responses", Api::kResponses},
                                                     {"/v1/messages", Api::kMessages},
                                                     {"/v1/rerank", Api::kRerank},
                                                     {"/v2/rerank", Api::kRerank},
                                                     {"/rerank", Api::kRerank},
                                                     {"/v1/score", Api::kScore},
                                                     {"/score", Api::kScore},
                                                     {"/classify", Api::kClassify},
                                                     {"/tokenize", Api::kTokenize},
                                                     {"/detokenize", Api::kDetokenize},
                                                     {"/v1/messages/count_tokens", Api::kMessages},
                                                     {"/v1/tokenize", Api::kTokenize},
                                                     {"/v1/detokenize", Api::kDetokenize}}};
constexpr std::array<std::string_view, 6> kPages{"/health", "/ping",    "/version",
                                                 "/load",   "/metrics", "/v1/models"};

const InferenceRoute* inference_route(std::string_view path) {
  for (const auto& route : kInference) {
    if (route.path == path) return &route;
  }
  return nullptr;
}

std::string_view id_prefix(Api api) {
  switch (api) {
    case Api::kCompletions:
      return "cmpl-";
    case Api::kResponses:
      return "resp_";
    case Api::kEmbeddings:
      return "embd-";
    case Api::kRerank:
      return "rerank-";
    case Api::kScore:
      return "score-";
    case Api::kClassify:
      return "classify-";
    default:
      return "chatcmpl-";
  }
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string_view error_type(int status) {
  switch (status) {
    case 429:
      return "RateLimitError";
    case 503:
      return "ServiceUnavailableError";
    default:
      return status < 500 ? "BadRequestError" : "InternalServerError";
  }
}

}  // namespace

EngineSession::EngineSession(std::shared_ptr<EngineServer> server, port::StreamPtr stream)
    : server_(std::move(server)), connection_(server_->loop_, std::move(stream)) {
  server_->sessions_.push_back(this);
}

EngineSession::~EngineSession() {
  std::erase(server_->sessions_, this);
}

void EngineSession::stop() {
  connection_.close(port::CloseMode::kGraceful);
  connection_.wake.set();
}

port::Task<void> EngineSession::run() {
  http::RequestHeadParser parser;
  while (!server_->stopped_) {
    auto request =
        co_await read_request(server_->loop_, connection_, parser, server_->options_.keep_alive);
    if (!request && request.error().code == ErrorCode::kUnavailable) break;
    if (!request) {
      ReplyHead head{request.error().code == ErrorCode::kRequestTooLarge ? 413 : 400,
                     "text/plain; charset=utf-8", "connection: close\r\n", ""};
      co_await connection_.write(
          whole_reply(server_->loop_.wall_now(), head, "Invalid HTTP request received."),
          server_->loop_.now() + 1s);
      break;
    }
    const Ending ending = co_await handle(*request);
    if (ending == Ending::kReset) connection_.close(port::CloseMode::kReset);
    if (ending != Ending::kComplete || !request->keep_alive) break;
  }
  connection_.close(port::CloseMode::kGraceful);
}

port::Task<Ending> EngineSession::handle(const HttpRequest& request) {
  const InferenceRoute* route = inference_route(request.path);
  const bool is_page = std::find(kPages.begin(), kPages.end(), request.path) != kPages.end();
  ReplyHead head;
  if (route != nullptr && request.method == "POST") {
    co_return co_await infer(route->api, request);
  }
  if (request.path == "/reset_prefix_cache" && request.method == "POST") {
    server_->engine_.forget_cache();
    head.content_type = "";
    co_return co_await reply(request, head, "");
  }
  if (is_page && request.method == "GET") {
    if (request.path == "/health" || request.path == "/ping") head.content_type = "";
    if (request.path == "/metrics") head.content_type = "text/plain; version=1.0.0; charset=utf-8";
    co_return co_await reply(request, head, page(request.path));
  }
  if (route != nullptr || is_page) {
    head.status = 405;
    head.extra = fmt::format("allow: {}\r\n", is_page ? "GET" : "POST");
    co_return co_await reply(request, head, R"({"detail":"Method Not Allowed"})");
  }
  head.status = 404;
  co_return co_await reply(request, head, R"({"detail":"Not Found"})");
}

std::string EngineSession::page(std::string_view path) {
  const auto& options = server_->options_;
  if (path == "/v1/models") {
    return models_body(options.models, server_->created_, options.profile.context_tokens_max);
  }
  if (path == "/version") return fmt::format(R"({{"version":"{}"}})", options.version);
  if (path == "/load") return fmt::format(R"({{"server_load":{}}})", server_->engine_.load());
  if (path == "/metrics") {
    const auto stats = server_->engine_.stats();
    return metrics_page(server_->engine_.metrics(), stats, options.profile, options.models[0]);
  }
  return {};
}

Result<Fault> EngineSession::fault_for(const HttpRequest& request) {
  if (!request.fault.empty()) return parse_fault(request.fault);
  const auto& options = server_->options_;
  if (options.fault_share > 0 && server_->rng_.unit() < options.fault_share) return options.fault;
  return Fault{};
}

AnswerId EngineSession::answer_id(Api api, const HttpRequest& request, const std::string& model) {
  AnswerId id;
  const std::string unique = request.request_id.empty()
                                 ? fmt::format("{:016x}", server_->rng_.next())
                                 : request.request_id;
  id.id = fmt::format("{}{}", id_prefix(api), unique);
  const auto now = server_->loop_.wall_now().time_since_epoch();
  id.created = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  id.model = model;
  id.fingerprint =
      fmt::format("vllm-{}-{:08x}", server_->options_.version,
                  static_cast<std::uint32_t>(hash_text(server_->listener_->address())));
  return id;
}

port::Task<Ending> EngineSession::infer(Api api, const HttpRequest& request) {
  const auto fault = fault_for(request);
  if (!fault) {
    const Refusal refusal{400, "BadRequestError", fault.error().detail, "x-fault"};
    co_return co_await refuse(api, request, refusal);
  }
  const Instant ready = server_->loop_.now() + fault->delay;
  while (server_->loop_.now() < ready && !connection_.ended()) co_await connection_.pause(ready);
  if (fault->reset_at_once) co_return Ending::kReset;
  if (fault->status != 0 || !fault->content_type.empty())
    co_return co_await misbehave(request, *fault);

  ReplyHead head;
  auto ask = read_ask(api, request.body);
  if (!ask) co_return co_await refuse(api, request, ask.error());
  const auto& models = server_->options_.models;
  if (ask->model.empty()) ask->model = models[0];
  if (std::find(models.begin(), models.end(), ask->model) == models.end()) {
    const Refusal refusal{404, "NotFoundError",
                          fmt::format("The model `{}` does not exist. Valid aliases: {}.",
                                      ask->model, joined(models)),
                          "model"};
    co_return co_await refuse(api, request, refusal);
  }
  if (api == Api::kTokenize || api == Api::kDetokenize)
    co_return co_await reply(request, head, tokens_body(*ask));
  if (request.path.ends_with("/count_tokens")) {
    co_return co_await reply(
        request, head, fmt::format(R"({{"input_tokens":{}}})", ask->prompts[0].tokens().value));
  }
  GenerationContext context{server_->loop_,
                            connection_,
                            server_->engine_,
                            *fault,
                            answer_id(api, request, ask->model),
                            request.request_id,
                            server_->options_.output_tokens_mean,
                            server_->options_.journal};
  Generation generation(std::move(context), std::move(*ask));
  if (auto refusal = generation.start())
    co_return co_await refuse(api, request, std::move(*refusal));
  co_return co_await generation.answer();
}

port::Task<Ending> EngineSession::reply(const HttpRequest& request, ReplyHead head,
                                        std::string body) {
  head.request_id = request.request_id;
  const bool written =
      co_await connection_.write(whole_reply(server_->loop_.wall_now(), head, body), kNever);
  co_return written ? Ending::kComplete : Ending::kClose;
}

port::Task<Ending> EngineSession::refuse(Api api, const HttpRequest& request, Refusal refusal) {
  ReplyHead head;
  head.status = refusal.status;
  std::string body = api == Api::kMessages ? anthropic_error_body(refusal) : error_body(refusal);
  co_return co_await reply(request, head, std::move(body));
}

// The faults that answer something else instead.
port::Task<Ending> EngineSession::misbehave(const HttpRequest& request, const Fault& fault) {
  ReplyHead head;
  head.status = fault.status == 0 ? 200 : fault.status;
  if (fault.retry_after_seconds)
    head.extra = fmt::format("retry-after: {}\r\n", *fault.retry_after_seconds);
  if (!fault.content_type.empty()) {
    head.content_type = fault.content_type;
    co_return co_await reply(request, head, "<html><body><h1>Bad gateway</h1></body></html>\n");
  }
  const Refusal refusal{fault.status, std::string(error_type(fault.status)), "Simulated failure.",
                        ""};
  co_return co_await reply(request, head, error_body(refusal));
}

std::string EngineSession::tokens_body(const Ask& ask) const {
  if (ask.api == Api::kDetokenize) {
    std::string text;
    for (const auto token : ask.tokens) text += output_token(token, 0);
    return fmt::format(R"({{"prompt":"{}"}})", text);
  }
  const BlockChain& prompt = ask.prompts[0];
  const auto count = static_cast<std::uint64_t>(prompt.tokens().value);
  std::string list;
  for (std::uint64_t i = 0; i < count; ++i) {
    list += fmt::format("{}{}", i == 0 ? "" : ",",
                        hash_text(fmt::format("{}", i), prompt.hash()) % 100'000);
  }
  return fmt::format(R"({{"count":{},"max_model_len":{},"tokens":[{}],"token_strs":null}})", count,
                     server_->options_.profile.context_tokens_max, list);
}

}  // namespace infermesh::lab
