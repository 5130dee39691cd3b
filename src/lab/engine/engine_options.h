// What the command `infermesh engine` can be told. Plain values; parse_engine_options reads them
// from the words after the verb. A wrong word is kInvalidField with one sentence for people.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "lab/engine/engine_server.h"
#include "lab/shared/flags.h"

namespace infermesh::lab {

struct EngineOptions {
  EngineServerOptions server;
  HostPort listen{"127.0.0.1", 8000};
  std::uint32_t count = 1;   // engines; on consecutive ports, or each on any port
  std::string ready_file;    // gets {"urls": [...]} when all of them listen
  std::string journal_file;  // what became of every request, one line an event
  bool help = false;
};

Result<EngineOptions> parse_engine_options(std::span<const std::string> args);
std::string engine_help();

}  // namespace infermesh::lab
