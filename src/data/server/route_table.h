// The paths that the inference listener serves: one table, one way through admission for every
// inference route.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/model/api.h"
#include "wire/kserve/path.h"

namespace infermesh::data {

enum class Action : std::uint8_t {
  kInference,  // read the body, decide, relay
  kModelList,  // GET /v1/models
  kModelGet,   // GET /v1/models/{id}
  kStored,     // what an engine keeps of a response: relayed to that engine
  kOllamaTags,
  kOllamaPs,
  kOllamaVersion,
  kOllamaManage,  // refused: it changes what one engine has on its disk
  kKserve,        // a call of KServe v2 that needs no engine (kserve_replies.h)
};

struct Route {
  std::string_view method;
  // As sent upstream; a trailing slash means that more follows, which is a model's name where
  // `tail` is empty, else one segment and `tail`.
  std::string_view path;
  Action action;
  Api api;  // of inference routes; of the others, whose form their errors have
  std::string_view tail = {};
};

std::span<const Route> route_table();

enum class RouteStatus : std::uint8_t { kFound, kUnknownPath, kWrongMethod };

struct RouteMatch {
  RouteStatus status = RouteStatus::kUnknownPath;
  const Route* route = nullptr;
  std::string_view path;  // as engines know it
  std::string_view rest;  // of a trailing-slash path: the model (encoded) or the id
  std::string allow;      // the methods that the path has, for kWrongMethod
  std::string model;      // that the path names; empty: none
  bool stream = false;    // the path is that of a stream
  kserve::Call kserve = kserve::Call::kServerMetadata;  // of kKserve
};

// `path` is the request target without its query. The bases /v1, /openai/v1, /anthropic/v1 and none
// are the same; KServe's paths and their elders' have no base. HEAD is looked up as GET.
RouteMatch find_route(std::string_view method, std::string_view path);

}  // namespace infermesh::data
