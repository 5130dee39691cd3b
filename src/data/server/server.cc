#include "data/server/server.h"

namespace infermesh::data {
namespace {

constexpr Duration kAcceptRest = 100ms;  // out of file descriptors: some will be closed

}  // namespace

Server::Server(Shard& shard, std::atomic<std::size_t>& open_of_all)
    : shard_(shard), open_of_all_(open_of_all), drain_end_([this] {
        const auto all = connections_;
        for (LiveConnection* connection : all) connection->stop();
        accepting_ = 0;  // who is still shaking hands has had the whole drain for it
        check_drained();
      }) {}

port::Task<void> Server::serve(std::unique_ptr<port::Listener> listener) {
  if (shard_.draining) co_return;
  port::Listener& own = *listeners_.emplace_back(std::move(listener));
  ++accepting_;
  port::Loop& loop = shard_.loop;
  while (true) {
    auto stream = co_await own.accept();
    if (stream) {
      if (open_of_all_.load(std::memory_order_relaxed) >= shard_.settings.connections_max) {
        (*stream)->close(port::CloseMode::kGraceful);
        shard_.meter.connection_refused();
        continue;
      }
      ++serving_;
      loop.spawn(serve_one(std::move(*stream)));
      continue;
    }
    if (stream.error().code == ErrorCode::kUnavailable) break;
    shard_.log.warn(loop.wall_now(), stream.error().detail);
    co_await loop.sleep_until(loop.now() + kAcceptRest);
  }
  if (accepting_ > 0) --accepting_;
  check_drained();
}

port::Task<void> Server::serve_one(port::StreamPtr stream) {
  open_of_all_.fetch_add(1, std::memory_order_relaxed);
  shard_.meter.connection_accepted(connections_.size() + 1);
  co_await serve_connection(shard_, connections_, std::move(stream));
  open_of_all_.fetch_sub(1, std::memory_order_relaxed);
  shard_.meter.connection_closed(connections_.size());
  --serving_;
  check_drained();
}

void Server::drain(Instant deadline, std::function<void()> done, Duration idle) {
  shard_.draining = true;
  shard_.drain_began = shard_.loop.now();
  shard_.drain_idle = idle;
  drained_ = std::move(done);
  for (auto& listener : listeners_) listener->close();
  const auto all = connections_;
  for (LiveConnection* connection : all) {
    if (connection->idle) connection->look_up();
  }
  shard_.loop.arm(drain_end_, deadline);
  check_drained();
}

void Server::check_drained() {
  if (!shard_.draining || serving_ > 0 || accepting_ > 0 || !drained_) return;
  shard_.loop.arm(drain_end_, kNever);
  std::exchange(drained_, nullptr)();
}

}  // namespace infermesh::data
