// The command line's view of the world: terminal, environment, files, and calls to admin listeners
// over a loop of its own.
#pragma once

#include "cli/io.h"

namespace infermesh::app {

cli::CliIo make_cli_io();

class HttpAdminClient final : public cli::AdminClient {
 public:
  Result<cli::AdminAnswer> call(const cli::AdminCall& call) override;
};

}  // namespace infermesh::app
