#include "core/model/mesh_view.h"

#include <algorithm>

namespace infermesh {
namespace {

constexpr std::string_view kLatest = ":latest";  // the tag that Ollama's names have unless told

const Model* find_exactly(const MeshView& view, std::string_view name) {
  const auto at =
      std::lower_bound(view.names.begin(), view.names.end(), name,
                       [](const auto& entry, std::string_view key) { return entry.first < key; });
  if (at == view.names.end() || at->first != name) return nullptr;
  return &view.models[at->second.value];
}

}  // namespace

const Endpoint* MeshView::endpoint(EndpointId id) const {
  if (id.value >= endpoints.size() || !endpoints[id.value]) return nullptr;
  return &*endpoints[id.value];
}

const Model* MeshView::find_model(std::string_view name) const {
  const Model* found = find_exactly(*this, name);
  if (found != nullptr || name.empty()) return found;
  if (name.ends_with(kLatest)) {
    return find_exactly(*this, name.substr(0, name.size() - kLatest.size()));
  }
  if (name.substr(name.rfind('/') + 1).contains(':')) return nullptr;
  return find_exactly(*this, std::string(name).append(kLatest));
}

bool MeshView::is_short_name(const Model& model) const {
  const Model* whole = find_exactly(*this, std::string(model.name).append(kLatest));
  return whole != nullptr && whole->name != model.name && whole->endpoints == model.endpoints;
}

const Ejection* MeshView::find_ejection(EndpointId endpoint_id, ModelId model) const {
  if (ejections.empty()) return nullptr;
  const auto key = std::pair(endpoint_id, model);
  const auto at = std::lower_bound(
      ejections.begin(), ejections.end(), key,
      [](const Ejection& e, const auto& k) { return std::pair(e.endpoint, e.model) < k; });
  if (at == ejections.end() || at->endpoint != endpoint_id || at->model != model) return nullptr;
  return &*at;
}

}  // namespace infermesh
