#include "core/model/mesh_view.h"

#include <algorithm>

namespace infermesh {

const Endpoint* MeshView::endpoint(EndpointId id) const {
  if (id.value >= endpoints.size() || !endpoints[id.value]) return nullptr;
  return &*endpoints[id.value];
}

const Model* MeshView::find_model(std::string_view name) const {
  const auto at =
      std::lower_bound(names.begin(), names.end(), name,
                       [](const auto& entry, std::string_view key) { return entry.first < key; });
  if (at == names.end() || at->first != name) return nullptr;
  return &models[at->second.value];
}

const Ejection* MeshView::find_ejection(EndpointId endpoint_id, ModelId model) const {
  const auto key = std::pair(endpoint_id, model);
  const auto at = std::lower_bound(
      ejections.begin(), ejections.end(), key,
      [](const Ejection& e, const auto& k) { return std::pair(e.endpoint, e.model) < k; });
  if (at == ejections.end() || at->endpoint != endpoint_id || at->model != model) return nullptr;
  return &*at;
}

}  // namespace infermesh
