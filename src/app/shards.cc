#include "app/shards.h"

#include <array>

#include "io/tls/dialer.h"
#include "io/tls/listener.h"

namespace infermesh::app {
namespace {

using io::tls::HandshakeResult;

// Counts handshakes of one shard and tells of those that failed to who asks for that much.
class HandshakeMeter {
 public:
  HandshakeMeter(obs::MetricSet& metrics, obs::Log& log, port::Loop& loop)
      : log_(log), loop_(loop) {
    for (std::size_t i = 0; i < counters_.size(); ++i) {
      const auto name = io::tls::to_string(static_cast<HandshakeResult>(i));
      counters_[i] = metrics.counter(obs::CounterId::kTlsHandshakes, {name});
    }
  }

  void operator()(const io::tls::HandshakeEnd& end) {
    counters_[static_cast<std::size_t>(end.result)].add();
    if (end.result == HandshakeResult::kOk || end.result == HandshakeResult::kResumed) return;
    log_.write(
        loop_.wall_now(), obs::LogLevel::kDebug, "TLS handshake",
        {{"result", io::tls::to_string(end.result)}, {"client", end.peer}, {"why", end.why}});
  }

 private:
  obs::Log& log_;
  port::Loop& loop_;
  std::array<obs::Counter, 6> counters_;
};

}  // namespace

Shards::Shards(std::size_t count, const Shared& shared) : shared_(shared) {
  for (std::size_t i = 0; i < count; ++i) {
    auto thread = std::make_unique<Thread>();
    thread->loop.use_tls(std::make_unique<io::tls::Dialer>(thread->loop));
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
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    auto listener = io::listen(threads_[i]->loop, address.host, port, io::Sharing::kShared);
    if (!listener) return std::unexpected(listener.error());
    threads_[i]->listener = with_tls(i, std::move(*listener));
  }
  return threads_.front()->listener->address();
}

std::unique_ptr<port::Listener> Shards::with_tls(std::size_t shard,
                                                 std::unique_ptr<port::Listener> plain) {
  if (shared_.tls == nullptr) return plain;
  io::tls::HandshakeRules rules;
  rules.timeout = shared_.settings.tls_handshake_timeout;
  rules.under_way_max = shared_.settings.tls_handshakes_max;
  io::EventLoop& loop = threads_[shard]->loop;
  rules.told = HandshakeMeter(shared_.metrics.set(shard), shared_.log, loop);
  return io::tls::secure(loop, std::move(plain), *shared_.tls, std::move(rules));
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
