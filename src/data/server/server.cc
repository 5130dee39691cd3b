#include "data/server/server.h"

namespace infermesh::data {
namespace {

constexpr Duration kAcceptRest = 100ms;  // out of file descriptors: some will be closed

}  // namespace

Server::Server(Shard& shard, std::atomic<std::size_t>& open_of_all)
    : shard_(shard), open_of_all_(open_of_all), drain_end_([this] {
        const auto all = connections_;
        for (LiveConnection* connection : all) connection->stop();
      }) {}

port::Task<void> Server::serve(std::unique_ptr<port::Listener> listener) {
  listener_ = std::move(listener);
  port::Loop& loop = shard_.loop;
  while (!shard_.draining) {
    auto stream = co_await listener_->accept();
    if (stream) {
      if (open_of_all_.load(std::memory_order_relaxed) >= shard_.settings.connections_max) {
        (*stream)->close(port::CloseMode::kGraceful);
        shard_.meter.connection_refused();
        continue;
      }
      loop.spawn(serve_one(std::move(*stream)));
      continue;
    }
    if (stream.error().code == ErrorCode::kUnavailable) break;
    shard_.log.warn(loop.wall_now(), stream.error().detail);
    co_await loop.sleep_until(loop.now() + kAcceptRest);
  }
}

port::Task<void> Server::serve_one(port::StreamPtr stream) {
  open_of_all_.fetch_add(1, std::memory_order_relaxed);
  shard_.meter.connection_accepted(connections_.size() + 1);
  co_await serve_connection(shard_, connections_, std::move(stream));
  open_of_all_.fetch_sub(1, std::memory_order_relaxed);
  shard_.meter.connection_closed(connections_.size());
  check_drained();
}

void Server::drain(Instant deadline, std::function<void()> done) {
  shard_.draining = true;
  drained_ = std::move(done);
  if (listener_) listener_->close();
  const auto all = connections_;
  for (LiveConnection* connection : all) {
    if (connection->idle) connection->look_up();
  }
  shard_.loop.arm(drain_end_, deadline);
  check_drained();
}

void Server::check_drained() {
  if (!shard_.draining || !connections_.empty() || !drained_) return;
  shard_.loop.arm(drain_end_, kNever);
  std::exchange(drained_, nullptr)();
}

}  // namespace infermesh::data
