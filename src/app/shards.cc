#include "app/shards.h"

#include <array>

#include "io/listening.h"
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
    thread->server.reset();
    thread->shard.reset();  // before its loop, whose sockets it holds
  }
}

Result<std::string> Shards::listen(const config::HostPort& address,
                                   std::vector<io::Descriptor> taken) {
  const bool first = taken.empty();
  if (first) {
    // Alone, so that an address that another process serves is seen as taken; then all shards share
    // it.
    auto alone = io::open_listening(address.host, address.port, io::Sharing::kAlone);
    if (!alone) return std::unexpected(alone.error());
    taken.push_back(std::move(*alone));
  }
  address_ = address;
  std::string text;
  for (const io::Descriptor& socket : taken) {
    auto found = io::address_of_listening(socket, address_.host, address_.port);
    if (!found) return found;
    text = std::move(*found);
    address_.port = io::parse_host_port(text)->port;
  }
  if (first) taken.clear();
  std::size_t next = 0;
  for (io::Descriptor& socket : taken) add_socket(next++ % threads_.size(), std::move(socket));
  if (!first) return text;
  if (const auto bound = bind_rest(); !bound) return std::unexpected(bound.error());
  return text;
}

Result<void> Shards::bind_rest() {
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    if (!threads_[i]->sockets.empty()) continue;
    auto socket = io::open_listening(address_.host, address_.port, io::Sharing::kShared);
    if (!socket) return std::unexpected(socket.error());
    add_socket(i, std::move(*socket));
  }
  return {};
}

void Shards::add_socket(std::size_t shard, io::Descriptor socket) {
  sockets_.push_back(socket.get());
  threads_[shard]->sockets.push_back(std::move(socket));
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
    thread->thread = std::thread([own = thread.get()] { own->loop.run(); });
  }
}

void Shards::accept() {
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    threads_[i]->loop.post([this, i, own = threads_[i].get()] {
      for (io::Descriptor& socket : own->sockets) {
        auto listener = with_tls(i, io::listener_of(own->loop, std::move(socket)));
        own->loop.spawn(own->server->serve(std::move(listener)));
      }
      own->sockets.clear();
    });
  }
}

void Shards::set_view(const MeshViewPtr& view) {
  for (auto& thread : threads_) {
    thread->loop.post([shard = thread->shard.get(), view] { shard->set_view(view); });
  }
}

void Shards::drain(DrainTimes times, std::function<void()> done) {
  draining_ = threads_.size();
  sockets_.clear();
  for (auto& thread : threads_) {
    thread->loop.post([this, own = thread.get(), times, done] {
      const auto ended = [this, done] {
        if (--draining_ == 0) done();
      };
      own->server->drain(own->loop.now() + times.limit, ended, times.idle);
    });
  }
}

}  // namespace infermesh::app
