// Checks of the files that --config and --objects name, shared by `config validate` and `check`.
#pragma once

#include <string>
#include <vector>

#include "cli/session.h"

namespace infermesh::cli {

struct FileReport {
  std::string summary;                // "infermesh.yaml is valid", when there are no problems
  std::vector<std::string> problems;  // "infermesh.yaml:12:5: unknown key ..."
};

// One for each flag given; empty when there is none.
std::vector<FileReport> reports_of_files(Session& session);

}  // namespace infermesh::cli
