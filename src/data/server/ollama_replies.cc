#include "data/server/ollama_replies.h"

#include <algorithm>
#include <boost/json.hpp>
#include <vector>

namespace infermesh::data {
namespace {

namespace json = boost::json;

constexpr std::string_view kNeverExpires = "9999-12-31T23:59:59Z";

bool takes_requests(const Endpoint& endpoint) {
  const bool up =
      endpoint.state == EndpointState::kReady || endpoint.state == EndpointState::kSuspect;
  return up && endpoint.apis.contains(Api::kOllamaChat);
}

json::object describe(const Model& model) {
  json::object details{
      {"parent_model", model.parent}, {"format", ""},         {"family", ""},
      {"families", nullptr},          {"parameter_size", ""}, {"quantization_level", ""}};
  return {{"name", model.name},
          {"model", model.name},
          {"size", 0},
          {"digest", ""},
          {"details", std::move(details)}};
}

std::vector<const Model*> served(const MeshView& view) {
  std::vector<const Model*> models;
  for (const Model& model : view.models) {
    const bool ready = std::ranges::any_of(model.endpoints, [&](EndpointId id) {
      const Endpoint* endpoint = view.endpoint(id);
      return endpoint != nullptr && takes_requests(*endpoint);
    });
    if (ready && !view.is_short_name(model)) models.push_back(&model);
  }
  return models;
}

}  // namespace

std::string ollama_tags(const MeshView& view) {
  json::array models;
  for (const Model* model : served(view)) {
    json::object entry = describe(*model);
    entry["modified_at"] = format_wall_time(model->created);
    models.push_back(std::move(entry));
  }
  return json::serialize(json::object{{"models", std::move(models)}});
}

std::string ollama_ps(const MeshView& view) {
  json::array models;
  for (const Model* model : served(view)) {
    json::object entry = describe(*model);
    entry["expires_at"] = kNeverExpires;
    entry["size_vram"] = 0;
    if (model->context_max) entry["context_length"] = model->context_max->value;
    models.push_back(std::move(entry));
  }
  return json::serialize(json::object{{"models", std::move(models)}});
}

std::string ollama_version(const MeshView& view) {
  std::string version = "0.0.0";
  for (const auto& endpoint : view.endpoints) {
    const bool ollama = endpoint && endpoint->runtime == Runtime::kOllama;
    if (!ollama || !takes_requests(*endpoint) || endpoint->version.empty()) continue;
    version = endpoint->version;
    break;
  }
  return json::serialize(json::object{{"version", version}});
}

}  // namespace infermesh::data
