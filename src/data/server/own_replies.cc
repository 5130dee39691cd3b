#include "data/server/own_replies.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "data/exchange/errors.h"
#include "data/server/ollama_replies.h"
#include "wire/http/percent.h"

namespace infermesh::data {
namespace {

namespace json = boost::json;

bool any_ready(const MeshView& view, const Model& model) {
  for (const EndpointId id : model.endpoints) {
    const Endpoint* endpoint = view.endpoint(id);
    if (endpoint == nullptr) continue;
    if (endpoint->state == EndpointState::kReady || endpoint->state == EndpointState::kSuspect)
      return true;
  }
  return false;
}

json::object describe(const Model& model) {
  json::object out;
  out["id"] = model.name;
  out["object"] = "model";
  out["created"] =
      std::chrono::floor<std::chrono::seconds>(model.created).time_since_epoch().count();
  out["owned_by"] = "infermesh";
  out["root"] = model.served_name;
  out["parent"] = model.parent.empty() ? json::value(nullptr) : json::value(model.parent);
  if (model.context_max) out["max_model_len"] = model.context_max->value;
  return out;
}

std::string list_models(const MeshView& view) {
  json::array data;
  for (const Model& model : view.models) {
    if (any_ready(view, model) && !view.is_short_name(model)) data.push_back(describe(model));
  }
  return json::serialize(json::object{{"object", "list"}, {"data", std::move(data)}});
}

Result<std::string> body_of(const MeshView& view, const Route& route, std::string_view id) {
  switch (route.action) {
    case Action::kModelGet: {
      const std::string name = http::percent_decoded(id);
      const Model* model = view.find_model(name);
      if (model == nullptr) return std::unexpected(unknown_model(view, name));
      json::object out = describe(*model);
      out["id"] = name;  // an alias is answered under the name that was asked for
      return json::serialize(out);
    }
    case Action::kOllamaTags:
      return ollama_tags(view);
    case Action::kOllamaPs:
      return ollama_ps(view);
    case Action::kOllamaVersion:
      return ollama_version(view);
    case Action::kOllamaManage:
      return fail(
          ErrorCode::kForbidden,
          fmt::format("{} changes what models one engine has; it is not passed on from here.",
                      route.path));
    default:
      return list_models(view);
  }
}

// Whose form an error has where no route says so.
std::optional<Api> api_near(std::string_view path) {
  if (path.contains("/messages")) return Api::kMessages;
  if (path.starts_with("/api/")) return Api::kOllamaShow;
  if (path.starts_with("/v2/")) return Api::kModelInfo;
  return std::nullopt;
}

}  // namespace

std::string_view reply_itself(Shard& shard, Reply& reply, const Route& route, std::string_view id,
                              const RequestStart& start) {
  const MeshView& view = *shard.view;
  const Result<std::string> body = body_of(view, route, id);
  if (!body) {
    const Subject subject{route.api, route.method, route.path};
    reply_error(shard, reply, subject, body.error(), start);
    return error_info(body.error().code).name;
  }
  reply.begin(200, body->size());
  reply.header("content-type", "application/json");
  reply.header("server", "infermesh");  // so that no mesh takes another for an engine
  stamp_request_id(reply, std::nullopt, start);
  reply.finish(*body);
  return {};
}

std::string_view reply_unrouted(Shard& shard, Reply& reply, const http::RequestHead& head,
                                const RouteMatch& match, const RequestStart& start) {
  Error error{ErrorCode::kUnknownPath, fmt::format("There is no route {}.", head.path), {}};
  if (match.status == RouteStatus::kWrongMethod) {
    error.code = ErrorCode::kMethodNotAllowed;
    error.detail = fmt::format("{} takes {}, not {}.", head.path, match.allow, head.method);
  }
  const Subject subject{api_near(head.path), head.method, head.path, {}, match.allow};
  reply_error(shard, reply, subject, error, start);
  return error_info(error.code).name;
}

}  // namespace infermesh::data
