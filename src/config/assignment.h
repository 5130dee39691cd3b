// The flags and the environment as assignments to settings, before any value is read. Used by the
// loader.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "config/loader.h"

namespace infermesh::config {

struct Assignment {
  SettingId id{};
  std::vector<std::string> items;
  Origin origin;
  Problem where;  // file, line and column of the value, for file assignments
};

std::vector<Assignment> assignments_of_flags(std::span<const std::string> arguments, Verbs verbs,
                                             Problems& problems);
std::vector<Assignment> assignments_of_environment(std::span<const std::string> environment,
                                                   Verbs verbs, Problems& problems);
std::vector<Assignment> assignments_of_file(const std::string& file, const std::string& text,
                                            Problems& problems);

}  // namespace infermesh::config
