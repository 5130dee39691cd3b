#include "core/route/route_state.h"

namespace infermesh::route {

ModelMemory* RouteState::model(std::uint64_t key) {
  const auto found = models.find(key);
  if (found != models.end()) return &found->second;
  if (models.size() >= kModelsLearnedMax) return nullptr;
  return &models[key];
}

// FNV-1a, finished by a multiply-xorshift so that near names land far apart.
std::uint64_t name_hash(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  hash = (hash ^ (hash >> 32)) * 0xd6e8feb86659fd93ULL;
  return hash ^ (hash >> 32);
}

}  // namespace infermesh::route
