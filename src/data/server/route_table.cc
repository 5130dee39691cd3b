#include "data/server/route_table.h"

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
    Route{"GET", "/v1/models", Action::kModelList, Api::kChat},
    Route{"GET", "/v1/models/", Action::kModelGet, Api::kChat},
};

constexpr std::array<std::string_view, 2> kVendorBases{"/openai", "/anthropic"};

bool matches(const Route& route, std::string_view path, std::string_view& rest) {
  if (!route.path.ends_with('/')) return route.path == path;
  if (!path.starts_with(route.path) || path.size() == route.path.size()) return false;
  rest = path.substr(route.path.size());
  return true;
}

RouteMatch look_up(std::string_view method, std::string_view path) {
  RouteMatch match;
  for (const Route& route : kRoutes) {
    std::string_view rest;
    if (!matches(route, path, rest)) continue;
    if (route.method == method) return {RouteStatus::kFound, &route, rest, {}};
    match.status = RouteStatus::kWrongMethod;
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
  for (const std::string_view base : kVendorBases) {
    if (path.starts_with(base) && path.substr(base.size()).starts_with("/v1/")) {
      return look_up(method, path.substr(base.size()));
    }
  }
  RouteMatch match = look_up(method, path);
  if (match.status != RouteStatus::kUnknownPath || path.size() > 256) return match;
  const std::string with_base = "/v1" + std::string(path);
  RouteMatch bare = look_up(method, with_base);
  if (bare.route != nullptr) bare.rest = path.substr(path.size() - bare.rest.size());
  return bare;
}

}  // namespace infermesh::data
