#include "data/server/kserve_replies.h"

#include <algorithm>
#include <boost/json.hpp>
#include <optional>

#include "data/exchange/errors.h"

namespace infermesh::data {
namespace {

namespace json = boost::json;

bool serves_tensors(const Endpoint& endpoint) {
  return endpoint.apis.contains(Api::kInfer);
}

bool takes_requests(const Endpoint& endpoint) {
  return endpoint.state == EndpointState::kReady || endpoint.state == EndpointState::kSuspect;
}

std::string metadata() {
  return json::serialize(json::object{{"name", "infermesh"},
                                      {"version", INFERMESH_VERSION},
                                      {"extensions",
                                       {"binary_tensor_data", "generate", "model_configuration",
                                        "model_repository", "statistics"}}});
}

bool is_ready(const Shard& shard) {
  if (shard.draining) return false;
  return std::ranges::any_of(shard.view->endpoints, [](const std::optional<Endpoint>& endpoint) {
    return endpoint && serves_tensors(*endpoint) && takes_requests(*endpoint);
  });
}

// One entry a model that engines of KServe serve, versions left to the engines.
std::optional<json::object> index_entry(const MeshView& view, const Model& model) {
  bool served = false;
  std::string reason = "no engine that serves it is ready";
  for (const EndpointId id : model.endpoints) {
    const Endpoint* endpoint = view.endpoint(id);
    if (endpoint == nullptr || !serves_tensors(*endpoint)) continue;
    served = true;
    if (takes_requests(*endpoint)) reason.clear();
  }
  if (!served) return std::nullopt;
  return json::object{{"name", model.name},
                      {"version", ""},
                      {"state", reason.empty() ? "READY" : "UNAVAILABLE"},
                      {"reason", reason}};
}

bool asks_for_ready(std::string_view body) {
  boost::system::error_code error;
  const json::value asked = json::parse(body, error);
  if (error || !asked.is_object()) return false;
  const json::value* ready = asked.as_object().if_contains("ready");
  return ready != nullptr && ready->is_bool() && ready->as_bool();
}

std::string index(const MeshView& view, std::string_view body) {
  const bool only_ready = asks_for_ready(body);
  json::array entries;
  for (const Model& model : view.models) {
    auto entry = index_entry(view, model);
    if (!entry || (only_ready && entry->at("state") != "READY")) continue;
    entries.push_back(std::move(*entry));
  }
  return json::serialize(entries);
}

void finish(Reply& reply, const RequestStart& start, std::string_view body) {
  reply.begin(200, body.size());
  if (!body.empty()) reply.header("content-type", "application/json");
  reply.header("server", "infermesh");  // so that no mesh takes another for an engine
  stamp_request_id(reply, std::nullopt, start);
  reply.finish(body);
}

std::string_view refuse(Shard& shard, Reply& reply, const RouteMatch& match,
                        const RequestStart& start, const Error& error) {
  reply_error(shard, reply, {Api::kModelInfo, match.route->method, match.path}, error, start);
  return error_info(error.code).name;
}

}  // namespace

std::string_view reply_kserve(Shard& shard, Reply& reply, const RouteMatch& match,
                              std::string_view body, const RequestStart& start) {
  switch (match.kserve) {
    case kserve::Call::kServerMetadata:
      finish(reply, start, metadata());
      return {};
    case kserve::Call::kLive:
      finish(reply, start, {});
      return {};
    case kserve::Call::kReady: {
      if (!is_ready(shard)) {
        const Error error{
            ErrorCode::kNoHealthyBackend, "No engine that serves KServe is ready.", {}};
        return refuse(shard, reply, match, start, error);
      }
      finish(reply, start, {});
      return {};
    }
    case kserve::Call::kIndex:
      finish(reply, start, index(*shard.view, body));
      return {};
    default: {
      Error error{ErrorCode::kNotPassedOn, {}, {}};
      if (match.kserve == kserve::Call::kControl)
        error.detail =
            "Loading and unloading of models are not passed to engines; the setting model_control "
            "lets them through.";
      return refuse(shard, reply, match, start, error);
    }
  }
}

}  // namespace infermesh::data
