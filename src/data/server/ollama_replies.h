// What the router answers itself of Ollama's API: the models that can be asked for through it, a
// version, and that models are not managed here.
#pragma once

#include <string>
#include <string_view>

#include "core/model/mesh_view.h"

namespace infermesh::data {

// GET /api/tags: the models of ready engines that speak Ollama's API. Size and digest, which only
// an engine knows of its files, are 0 and empty.
std::string ollama_tags(const MeshView& view);

// GET /api/ps: the same models, as those that can be asked at once; when an engine unloads one is
// not known here, so none is said to.
std::string ollama_ps(const MeshView& view);

// GET /api/version: of the first Ollama that tells one, "0.0.0" without.
std::string ollama_version(const MeshView& view);

}  // namespace infermesh::data
