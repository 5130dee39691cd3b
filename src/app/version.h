// Version of this binary. The commit is set by the build where git is there.
#pragma once

#include <string_view>

namespace infermesh::app {

extern const std::string_view kVersion;  // "0.1.0"
extern const std::string_view kCommit;   // short, empty when unknown

}  // namespace infermesh::app
