// The paths that the inference listener serves: one table, one way through admission for every
// inference route.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/model/api.h"

namespace infermesh::data {

enum class Action : std::uint8_t {
  kInference,  // read the body, decide, relay
  kModelList,  // GET /v1/models
  kModelGet,   // GET /v1/models/{id}
};

struct Route {
  std::string_view method;
  std::string_view path;  // as sent upstream; a trailing slash means that one more segment follows
  Action action;
  Api api;  // of inference routes
};

std::span<const Route> route_table();

enum class RouteStatus : std::uint8_t { kFound, kUnknownPath, kWrongMethod };

struct RouteMatch {
  RouteStatus status = RouteStatus::kUnknownPath;
  const Route* route = nullptr;
  std::string_view rest;  // after a trailing-slash path: the model id, still percent-encoded
  std::string allow;      // the methods that the path has, for kWrongMethod
};

// `path` is the request target without its query. The bases /v1, /openai/v1, /anthropic/v1 and none
// are the same.
RouteMatch find_route(std::string_view method, std::string_view path);

}  // namespace infermesh::data
