// Help: examples first.
#pragma once

#include <string>

#include "cli/verb.h"

namespace infermesh::cli {

std::string general_help(const std::string& version);
std::string verb_help(const Verb& verb);
std::string reference_page();  // docs/reference/cli.md

}  // namespace infermesh::cli
