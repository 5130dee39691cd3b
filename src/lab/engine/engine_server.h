// EngineServer: a vLLM look-alike over HTTP on one loop. Serves chat, completions, responses and
// messages (whole and streamed), embeddings, rerank, score, classify, tokenize and detokenize from
// a SimulatedEngine, with the pages that routers read (/v1/models /health /version /metrics /load)
// and faults on demand (fault.h). A client that leaves frees its engine slot at once. Many servers
// share a loop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "lab/engine/fault.h"
#include "lab/engine/journal.h"
#include "lab/engine/simulated_engine.h"
#include "port/loop.h"

namespace infermesh::lab {

struct EngineServerOptions {
  engine::EngineProfile profile;
  std::vector<std::string> models{"sim"};  // served names, the first one is the default
  std::string version = "0.32.0";
  std::uint64_t output_tokens_mean = 128;  // of answers that nothing bounds
  Duration keep_alive = 5s;  // idle connections are closed after this, as uvicorn does
  Fault fault;               // on `fault_share` of the inference requests
  double fault_share = 0;
  std::uint64_t seed = 1;
  std::uint32_t connections_max = 10'000;  // further ones are closed at once
  JournalFn journal;
};

class EngineServer : public std::enable_shared_from_this<EngineServer> {
 public:
  EngineServer(port::Loop& loop, std::unique_ptr<port::Listener> listener,
               EngineServerOptions options);
  ~EngineServer();

  // Accepts until stop(). Spawns a task a connection; each of them keeps the server alive.
  port::Task<void> serve();
  // Stops accepting and drops every connection, as vLLM does on SIGTERM.
  void stop();

  std::string address() const { return listener_->address(); }
  SimulatedEngine& engine() { return engine_; }

 private:
  friend class EngineSession;

  port::Loop& loop_;
  std::unique_ptr<port::Listener> listener_;
  EngineServerOptions options_;
  SimulatedEngine engine_;
  Rng rng_;
  std::int64_t created_ = 0;
  std::vector<class EngineSession*> sessions_;
  bool stopped_ = false;
};

// A server that lives until it is stopped or its listener is closed.
port::Task<void> serve_engine(port::Loop& loop, std::unique_ptr<port::Listener> listener,
                              EngineServerOptions options);

}  // namespace infermesh::lab
