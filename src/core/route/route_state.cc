#include "core/route/route_state.h"

namespace infermesh::route {

ModelMemory* RouteState::model(std::uint64_t key) {
  const auto found = models.find(key);
  if (found != models.end()) return &found->second;
  if (models.size() >= kModelsLearnedMax) return nullptr;
  return &models[key];
}

}  // namespace infermesh::route
