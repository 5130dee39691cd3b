// Completion scripts for bash, zsh and fish, written from the verb table. Live names (engines,
// models, requests) are asked for by the script at the moment of completion, through the hidden
// verb __complete.
#pragma once

#include <string>

namespace infermesh::cli {

std::string bash_completion();
std::string zsh_completion();
std::string fish_completion();

}  // namespace infermesh::cli
