#include "data/server/route_table.h"

#include <algorithm>
#include <array>

namespace infermesh::data {
namespace {

constexpr std::array kRoutes{
    Route{"POST", "/v1/chat/completions", Action::kInference, Api::kChat},
    Route{"POST", "/v1/completions", Action::kInference, Api::kCompletions},
    Route{"POST", "/v1/embeddings", Action::kInference, Api::kEmbeddings},
    Route{"POST", "/v1/responses", Action::kInference, Api::kResponses},
    Route{"POST", "/v1/messages", Action::kInference, Api::kMessages},
    Route{"POST", "/v1/rerank", Action::kInference, Api::kRerank},
    Route{"POST", "/v2/rerank", Action::kInference, Api::kRerank},
    Route{"POST", "/rerank", Action::kInference, Api::kRerank},
    Route{"POST", "/v1/score", Action::kInference, Api::kScore},
    Route{"POST", "/score", Action::kInference, Api::kScore},
    Route{"POST", "/classify", Action::kInference, Api::kClassify},
    Route{"POST", "/tokenize", Action::kInference, Api::kTokenize},
    Route{"POST", "/detokenize", Action::kInference, Api::kDetokenize},
    Route{"POST", "/v1/messages/count_tokens", Action::kInference, Api::kCountTokens},
    Route{"GET", "/v1/responses/", Action::kStored, Api::kStoredResponse},
    Route{"DELETE", "/v1/responses/", Action::kStored, Api::kStoredResponse},
    Route{"POST", "/v1/responses/", Action::kStored, Api::kStoredResponse, "/cancel"},
    Route{"GET", "/v1/responses/", Action::kStored, Api::kStoredResponse, "/input_items"},
    Route{"POST", "/api/chat", Action::kInference, Api::kOllamaChat},
    Route{"POST", "/api/generate", Action::kInference, Api::kOllamaGenerate},
    Route{"POST", "/api/embed", Action::kInference, Api::kOllamaEmbed},
    Route{"POST", "/api/embeddings", Action::kInference, Api::kOllamaEmbed},
    Route{"POST", "/api/show", Action::kInference, Api::kOllamaShow},
    Route{"GET", "/api/tags", Action::kOllamaTags, Api::kOllamaShow},
    Route{"GET", "/api/ps", Action::kOllamaPs, Api::kOllamaShow},
    Route{"GET", "/api/version", Action::kOllamaVersion, Api::kOllamaShow},
    Route{"POST", "/api/pull", Action::kOllamaManage, Api::kOllamaShow},
    Route{"POST", "/api/push", Action::kOllamaManage, Api::kOllamaShow},
    Route{"POST", "/api/create", Action::kOllamaManage, Api::kOllamaShow},
    Route{"POST", "/api/copy", Action::kOllamaManage, Api::kOllamaShow},
    Route{"DELETE", "/api/delete", Action::kOllamaManage, Api::kOllamaShow},
    Route{"POST", "/api/blobs/", Action::kOllamaManage, Api::kOllamaShow},
    Route{"POST", "/v1/audio/transcriptions", Action::kInference, Api::kTranscriptions},
    Route{"POST", "/v1/audio/translations", Action::kInference, Api::kTranslations},
    Route{"POST", "/v1/audio/speech", Action::kInference, Api::kSpeech},
    Route{"POST", "/v1/images/generations", Action::kInference, Api::kImages},
    Route{"POST", "/v1/images/edits", Action::kInference, Api::kImageEdits},
    Route{"POST", "/v1/images/variations", Action::kInference, Api::kImageEdits},
    Route{"GET", "/v1/realtime", Action::kInference, Api::kRealtime},
    Route{"GET", "/v1/models", Action::kModelList, Api::kChat},
    Route{"GET", "/v1/models/", Action::kModelGet, Api::kChat},
};

using kserve::Call;
constexpr std::array<std::pair<Call, Route>, 9> kKserveRoutes{{
    {Call::kServerMetadata, {"GET", "/v2", Action::kKserve, Api::kModelInfo}},
    {Call::kLive, {"GET", "/v2/health/live", Action::kKserve, Api::kModelInfo}},
    {Call::kReady, {"GET", "/v2/health/ready", Action::kKserve, Api::kModelInfo}},
    {Call::kIndex, {"POST", "/v2/repository/index", Action::kKserve, Api::kModelInfo}},
    {Call::kInfer, {"POST", "/v2/models/", Action::kInference, Api::kInfer}},
    {Call::kInferStream, {"POST", "/v2/models/", Action::kInference, Api::kInfer}},
    {Call::kGenerate, {"POST", "/v2/models/", Action::kInference, Api::kGenerate}},
    {Call::kGenerateStream, {"POST", "/v2/models/", Action::kInference, Api::kGenerate}},
    {Call::kModelInfo, {"GET", "/v2/models/", Action::kInference, Api::kModelInfo}},
}};
constexpr Route kServerOnly{"", "/v2/", Action::kKserve, Api::kModelInfo};

constexpr Route kControlRoute{"POST", "/v2/repository/models/", Action::kKserve, Api::kModelInfo};

constexpr std::array kPredictRoutes{
    Route{"POST", "/v1/models/", Action::kInference, Api::kPredict},
    Route{"POST", "/predictions/", Action::kInference, Api::kPredictions},
    Route{"PUT", "/predictions/", Action::kInference, Api::kPredictions},  // curl -T
};

constexpr std::array<std::string_view, 2> kVendorBases{"/openai", "/anthropic"};

constexpr std::size_t kIdMax = 256;  // bytes of a response's id

// What may stand in a path as it is, and ends no segment.
bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= kIdMax && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

bool matches(const Route& route, std::string_view path, std::string_view& rest) {
  if (!route.path.ends_with('/')) return route.path == path;
  if (!path.starts_with(route.path) || !path.ends_with(route.tail)) return false;
  path.remove_prefix(route.path.size());
  if (path.size() <= route.tail.size()) return false;
  rest = path.substr(0, path.size() - route.tail.size());
  return route.action != Action::kStored || is_id(rest);
}

RouteMatch look_up(std::string_view method, std::string_view path) {
  RouteMatch match;
  for (const Route& route : kRoutes) {
    std::string_view rest;
    if (!matches(route, path, rest)) continue;
    if (route.method == method) {
      match.status = RouteStatus::kFound;
      match.route = &route;
      match.path = route.path;
      match.rest = rest;
      match.allow.clear();
      return match;
    }
    match.status = RouteStatus::kWrongMethod;
    if (!match.allow.empty()) match.allow += ", ";
    match.allow += route.method;
  }
  return match;
}

RouteMatch look_up_kserve(std::string_view method, std::string_view path, kserve::Target target) {
  RouteMatch match;
  match.model = std::move(target.model);
  match.path = path;
  match.kserve = target.call;
  match.stream =
      target.call == kserve::Call::kInferStream || target.call == kserve::Call::kGenerateStream;
  if (target.call == kserve::Call::kServerOnly) {
    match.route = &kServerOnly;
    match.status = RouteStatus::kFound;
    return match;
  }
  if (target.call == kserve::Call::kControl) match.route = &kControlRoute;
  for (const auto& [call, route] : kKserveRoutes) {
    if (call == target.call) match.route = &route;
  }
  match.status = RouteStatus::kFound;
  if (match.route->method == method) return match;
  match.status = RouteStatus::kWrongMethod;
  match.allow = match.route->method;
  match.route = nullptr;
  return match;
}

RouteMatch look_up_predict(std::string_view method, std::string_view path,
                           kserve::PredictTarget target) {
  RouteMatch match;
  match.model = std::move(target.model);
  match.path = path;
  match.status = RouteStatus::kWrongMethod;
  for (const Route& route : kPredictRoutes) {
    if (route.api != target.api) continue;
    if (route.method == method) {
      match.route = &route;
      match.status = RouteStatus::kFound;
      match.allow.clear();
      return match;
    }
    if (!match.allow.empty()) match.allow += ", ";
    match.allow += route.method;
  }
  return match;
}

}  // namespace

std::span<const Route> route_table() {
  return kRoutes;
}

RouteMatch find_route(std::string_view method, std::string_view path) {
  if (method == "HEAD") method = "GET";  // the same without the body (RFC 9110 9.3.2)
  for (const std::string_view base : kVendorBases) {
    if (path.starts_with(base) && path.substr(base.size()).starts_with("/v1/")) {
      return look_up(method, path.substr(base.size()));
    }
  }
  if (path.starts_with("/v2")) {
    if (auto target = kserve::parse_path(path)) {
      return look_up_kserve(method, path, std::move(*target));
    }
  }
  const bool listed = method == "GET" && path.starts_with("/v1/");  // OpenAI's, whatever the name
  if (!listed) {
    if (auto target = kserve::parse_predict_path(path)) {
      return look_up_predict(method, path, std::move(*target));
    }
  }
  RouteMatch match = look_up(method, path);
  if (match.status != RouteStatus::kUnknownPath || path.size() > 256) return match;
  const std::string with_base = "/v1" + std::string(path);
  RouteMatch bare = look_up(method, with_base);
  if (!bare.rest.empty()) {  // a view of with_base
    const auto at = static_cast<std::size_t>(bare.rest.data() - with_base.data());
    bare.rest = path.substr(at - (with_base.size() - path.size()), bare.rest.size());
  }
  return bare;
}

}  // namespace infermesh::data
