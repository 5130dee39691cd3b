#include "app/shards.h"

namespace infermesh::app {

Shards::Shards(std::size_t count, const Shared& shared) {
  for (std::size_t i = 0; i < count; ++i) {
    auto thread = std::make_unique<Thread>();
    thread->shard = std::make_unique<data::Shard>(data::Shard::Borrowed{
        .loop = thread->loop,
        .settings = shared.settings,
        .loads = shared.loads,
        .prefixes = shared.prefixes,
        .metrics = shared.metrics.set(i),
        .access_log = shared.access_log,
        .log = shared.log,
        .spans = shared.spans,
        .report = shared.report,
        .homes = homes_,
    });
    thread->server = std::make_unique<data::Server>(*thread->shard, connections_open_);
    threads_.push_back(std::move(thread));
  }
}

Shards::~Shards() {
  for (auto& thread : threads_) {
    thread->loop.stop();
    if (thread->thread.joinable()) thread->thread.join();
    thread->loop.end_tasks();
    thread->listener.reset();
    thread->server.reset();
    thread->shard.reset();  // before its loop, whose sockets it holds
  }
}

Result<std::string> Shards::listen(const config::HostPort& address) {
  // First alone, so that an address that another process serves is seen as taken; then all shards
  // share it.
  std::uint16_t port = address.port;
  {
    const auto alone = io::listen(threads_.front()->loop, address.host, port);
    if (!alone) return std::unexpected(alone.error());
    port = io::parse_host_port((*alone)->address())->port;
  }
  for (auto& thread : threads_) {
    auto listener = io::listen(thread->loop, address.host, port, io::Sharing::kShared);
    if (!listener) return std::unexpected(listener.error());
    thread->listener = std::move(*listener);
  }
  return threads_.front()->listener->address();
}

void Shards::start() {
  for (auto& thread : threads_) {
    Thread& own = *thread;
    own.loop.spawn(own.server->serve(std::move(own.listener)));
    own.thread = std::thread([&own] { own.loop.run(); });
  }
}

void Shards::set_view(const MeshViewPtr& view) {
  for (auto& thread : threads_) {
    thread->loop.post([shard = thread->shard.get(), view] { shard->set_view(view); });
  }
}

void Shards::drain(Duration timeout, std::function<void()> done) {
  draining_ = threads_.size();
  for (auto& thread : threads_) {
    thread->loop.post([this, own = thread.get(), timeout, done] {
      own->server->drain(own->loop.now() + timeout, [this, done] {
        if (--draining_ == 0) done();
      });
    });
  }
}

}  // namespace infermesh::app
