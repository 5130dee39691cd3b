// The command line's entrance. app/main hands over the world and the verbs that only it can run.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "cli/io.h"

namespace infermesh::cli {

// Runs up, run, engine or bench with the words after the verb. Help of up and run is already dealt
// with; engine and bench print their own on --help.
using AppVerb = std::function<int(const std::string& verb, std::span<const std::string> words)>;

// `args` without the program's name. Answers with the exit code (cli/fault.h lists them).
int run_cli(std::span<const std::string> args, CliIo& io, AdminClient& client, const AppVerb& app);

}  // namespace infermesh::cli
