// `infermesh engine` and `infermesh bench`: the lab's commands on a loop of their own.
#pragma once

#include <span>
#include <string>

#include "cli/io.h"

namespace infermesh::app {

int run_engine(std::span<const std::string> words, const cli::CliIo& io);
int run_bench(std::span<const std::string> words, const cli::CliIo& io);

}  // namespace infermesh::app
