#include "app/version.h"

namespace infermesh::app {

const std::string_view kVersion = INFERMESH_VERSION;
const std::string_view kCommit = INFERMESH_COMMIT;

}  // namespace infermesh::app
