#include "data/grpc/own_answers.h"

#include <algorithm>

namespace infermesh::data {
namespace {

bool can_serve(const MeshView& view, EndpointId id) {
  const Endpoint* endpoint = view.endpoint(id);
  if (endpoint == nullptr || !endpoint->apis.contains(Api::kGrpc)) return false;
  return endpoint->state == EndpointState::kReady || endpoint->state == EndpointState::kSuspect;
}

std::vector<std::string> ready_models(const MeshView& view) {
  std::vector<std::string> names;
  for (const Model& model : view.models) {
    const bool ready =
        std::ranges::any_of(model.endpoints, [&](EndpointId id) { return can_serve(view, id); });
    if (ready) names.push_back(model.name);
  }
  return names;
}

}  // namespace

std::string own_answer(grpc::Handling handling, const MeshView& view) {
  switch (handling) {
    case grpc::Handling::kReady:
      return grpc::bool_answer(!ready_models(view).empty());
    case grpc::Handling::kHealth:
      return grpc::health_answer(!ready_models(view).empty());
    case grpc::Handling::kMetadata:
      return grpc::metadata_answer("infermesh", "");
    case grpc::Handling::kIndex:
      return grpc::index_answer(ready_models(view));
    default:
      return grpc::bool_answer(true);
  }
}

}  // namespace infermesh::data
