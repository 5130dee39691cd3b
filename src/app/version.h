// Version of this binary. The commit is set by the build where git is there.
#pragma once

#include <string_view>

namespace infermesh::app {

constexpr std::string_view kVersion = INFERMESH_VERSION;
constexpr std::string_view kCommit = INFERMESH_COMMIT;

}  // namespace infermesh::app
