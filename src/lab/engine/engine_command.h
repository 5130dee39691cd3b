// `infermesh engine`: opens the listeners, says where they are, serves until stopped.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lab/engine/engine_options.h"
#include "port/loop.h"

namespace infermesh::lab {

// Opens a listening socket; the caller decides on which loop and how.
using ListenFn =
    std::function<Result<std::unique_ptr<port::Listener>>(std::string host, std::uint16_t port)>;

class EngineCommand {
 public:
  explicit EngineCommand(EngineOptions options) : options_(std::move(options)) {}

  // Opens every listener and spawns a server on each. The URLs, or what failed (then nothing is
  // served).
  Result<std::vector<std::string>> start(port::Loop& loop, const ListenFn& listen);
  // Drops all connections and stops accepting; the spawned tasks end soon after.
  void stop();

  void set_journal(JournalFn journal) {
    options_.server.journal = std::move(journal);
  }  // before start()
  const EngineOptions& options() const { return options_; }

 private:
  EngineOptions options_;
  std::vector<std::shared_ptr<EngineServer>> servers_;
};

// For people, on stdout: one line an engine.
std::string engine_banner(const EngineOptions& options, const std::vector<std::string>& urls);
// For programs, in the ready file.
std::string ready_json(const std::vector<std::string>& urls);

}  // namespace infermesh::lab
