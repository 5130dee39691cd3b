// What the router answers itself of KServe v2: that it lives, whether engines can be asked by gRPC,
// which models they serve.
#pragma once

#include <string>

#include "core/model/mesh_view.h"
#include "wire/grpc/kserve.h"

namespace infermesh::data {

// The message; for the handlings that need no engine.
std::string own_answer(grpc::Handling handling, const MeshView& view);

}  // namespace infermesh::data
