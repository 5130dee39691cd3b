#include "data/stream/upstream_pool.h"

#include <algorithm>

namespace infermesh::data {
namespace {

bool same(const Rare<TlsOptions>& one, const std::optional<TlsOptions>& other) {
  return one.has_value() == other.has_value() && (!one || *one == *other);
}

}  // namespace

UpstreamPool::UpstreamPool(port::Loop& loop, Limits limits)
    : loop_(loop), limits_(limits), expiry_([this] { expire(); }) {}

UpstreamConnectionPtr UpstreamPool::take(const Endpoint& endpoint) {
  const auto found = idle_.find(endpoint.id);
  if (found == idle_.end()) return nullptr;
  auto& connections = found->second;
  while (!connections.empty()) {
    UpstreamConnectionPtr connection = std::move(connections.back());
    connections.pop_back();
    // An id may have passed to another engine since.
    if (connection->authority != endpoint.authority || !same(connection->tls, endpoint.tls)) {
      continue;
    }
    connection->stream.when_disturbed(nullptr);
    connection->reused = true;
    return connection;
  }
  return nullptr;
}

Dial::~Dial() {
  if (state_) state_->wake = nullptr;
}

Dial UpstreamPool::dial(const Endpoint& endpoint, Instant deadline, port::Wakeup& wake) {
  auto state = std::make_shared<Dial::State>();
  state->wake = &wake;
  loop_.spawn(make(endpoint, deadline, state));
  return Dial(std::move(state));
}

port::Task<void> UpstreamPool::make(Endpoint endpoint, Instant deadline,
                                    std::shared_ptr<Dial::State> state) {
  port::Target target{endpoint.host, endpoint.port, endpoint.tls, port::Protocol::kHttp1};
  auto stream = co_await loop_.connect(std::move(target), deadline);
  if (!stream) {
    state->result = std::unexpected(stream.error());
  } else {
    auto connection = std::make_unique<UpstreamConnection>(std::move(*stream));
    connection->endpoint = endpoint.id;
    connection->authority = endpoint.authority;
    if (endpoint.tls) connection->tls = *endpoint.tls;
    if (state->wake == nullptr) {
      give_back(std::move(connection));
      co_return;
    }
    state->result = std::move(connection);
  }
  if (state->wake != nullptr) state->wake->set();
}

void UpstreamPool::give_back(UpstreamConnectionPtr connection) {
  auto& connections = idle_[connection->endpoint];
  if (connections.size() >= limits_.idle_per_endpoint_max) return;
  UpstreamConnection* raw = connection.get();
  raw->idle_since = loop_.now();
  raw->stream.attach(nullptr);
  raw->stream.when_disturbed([this, raw] { drop(*raw); });
  raw->stream.expect_read();
  connections.push_back(std::move(connection));
  if (!expiry_.armed()) loop_.arm(expiry_, loop_.now() + limits_.idle_timeout);
}

void UpstreamPool::drop(const UpstreamConnection& connection) {
  auto& connections = idle_[connection.endpoint];
  std::erase_if(connections, [&](const auto& entry) { return entry.get() == &connection; });
}

void UpstreamPool::expire() {
  const Instant oldest = loop_.now() - limits_.idle_timeout;
  Instant next = kNever;
  for (auto& [id, connections] : idle_) {
    std::erase_if(connections, [&](const auto& entry) { return entry->idle_since <= oldest; });
    for (const auto& entry : connections)
      next = std::min(next, entry->idle_since + limits_.idle_timeout);
  }
  std::erase_if(idle_, [](const auto& entry) { return entry.second.empty(); });
  loop_.arm(expiry_, next);
}

std::size_t UpstreamPool::idle() const {
  std::size_t count = 0;
  for (const auto& [id, connections] : idle_) count += connections.size();
  return count;
}

}  // namespace infermesh::data
