#include "lab/engine/engine_server.h"

#include <algorithm>

#include "lab/engine/engine_session.h"

namespace infermesh::lab {
namespace {

port::Task<void> run_session(std::shared_ptr<EngineServer> server, port::StreamPtr stream) {
  EngineSession session(std::move(server), std::move(stream));
  co_await session.run();
}

port::Task<void> run_engine_steps(std::shared_ptr<EngineServer> server) {
  co_await server->engine().drive();
}

}  // namespace

EngineServer::EngineServer(port::Loop& loop, std::unique_ptr<port::Listener> listener,
                           EngineServerOptions options)
    : loop_(loop),
      listener_(std::move(listener)),
      options_(std::move(options)),
      engine_(loop, options_.profile),
      rng_(options_.seed),
      created_(std::chrono::duration_cast<std::chrono::seconds>(loop.wall_now().time_since_epoch())
                   .count()) {}

EngineServer::~EngineServer() = default;

port::Task<void> EngineServer::serve() {
  const auto self = shared_from_this();
  loop_.spawn(run_engine_steps(self));
  while (!stopped_) {
    auto stream = co_await listener_->accept();
    if (!stream && stream.error().code == ErrorCode::kUnavailable) break;
    if (!stream || stopped_) {
      // Out of descriptors or the like: give running connections time to end.
      if (!stopped_) co_await loop_.sleep_until(loop_.now() + 10ms);
      continue;
    }
    if (sessions_.size() >= options_.connections_max) continue;  // the stream closes here
    loop_.spawn(run_session(self, std::move(*stream)));
  }
  stop();
}

void EngineServer::stop() {
  if (stopped_) return;
  stopped_ = true;
  listener_->close();
  engine_.stop();
  for (EngineSession* session : sessions_) session->stop();
}

port::Task<void> serve_engine(port::Loop& loop, std::unique_ptr<port::Listener> listener,
                              EngineServerOptions options) {
  const auto server = std::make_shared<EngineServer>(loop, std::move(listener), std::move(options));
  co_await server->serve();
}

}  // namespace infermesh::lab
