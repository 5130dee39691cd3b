#include "port/fake/network.h"

#include <algorithm>
#include <utility>

#include "port/fake/connection.h"
#include "port/fake/world.h"

namespace infermesh::port::fake {
namespace {

std::string address_of(std::string_view host, std::uint16_t port) {
  const std::string_view literal = host == "localhost" ? "127.0.0.1" : host;
  return std::string(literal) + ":" + std::to_string(port);
}

}  // namespace

class NetworkListener final : public Listener {
 public:
  NetworkListener(World& world, std::string address, std::shared_ptr<Network::Backlog> backlog)
      : world_(world), address_(std::move(address)), backlog_(std::move(backlog)) {}
  ~NetworkListener() override { close(); }

  Task<Result<StreamPtr>> accept() override {
    const auto backlog = backlog_;
    while (backlog->waiting.empty() && !backlog->closed) {
      backlog->accepting = world_.next_ticket();
      co_await world_.park(backlog->accepting);
    }
    if (backlog->closed) co_return fail(ErrorCode::kUnavailable, "the listener is closed");
    StreamPtr stream = std::move(backlog->waiting.front());
    backlog->waiting.pop_front();
    co_return stream;
  }

  void close() override {
    if (std::exchange(backlog_->closed, true)) return;
    for (StreamPtr& stream : backlog_->waiting) stream->close(CloseMode::kReset);
    backlog_->waiting.clear();
    world_.unpark(backlog_->accepting);
  }

  std::string address() const override { return address_; }

 private:
  World& world_;
  std::string address_;
  std::shared_ptr<Network::Backlog> backlog_;
};

Network::Network(World& world) : world_(world) {}
Network::~Network() = default;

Result<std::unique_ptr<Listener>> Network::listen(std::string_view host, std::uint16_t port) {
  const std::uint16_t bound = port == 0 ? next_port_++ : port;
  const std::string address = address_of(host, bound);
  auto& backlog = listeners_[address];
  if (backlog && !backlog->closed) {
    return fail(ErrorCode::kConflict, "somebody listens on " + address);
  }
  backlog = std::make_shared<Backlog>();
  return std::make_unique<NetworkListener>(world_, address, backlog);
}

Result<StreamPtr> Network::open(const std::string& address) {
  const auto found = listeners_.find(address);
  if (found == listeners_.end() || found->second->closed ||
      found->second->waiting.size() >= kBacklogMax) {
    return fail(ErrorCode::kUpstreamConnectFailed, address + ": connection refused");
  }
  const std::string client = address_of("127.0.0.1", next_client_port_++);
  auto connection = std::make_shared<Connection>(world_, latency_, window_);
  auto [near_end, far_end] = Connection::ends(connection, address, client);
  std::erase_if(connections_, [](const auto& entry) { return entry.second.expired(); });
  connections_.emplace(address, connection);
  ++made_[address];
  found->second->waiting.push_back(std::move(far_end));
  world_.unpark(found->second->accepting);
  return std::move(near_end);
}

Task<Result<StreamPtr>> Network::connect(Target target, Instant deadline) {
  const std::string address = address_of(target.host, target.port);
  const Instant answered = world_.now() + 2 * latency_;
  const bool silent = black_holes_.contains(address) || answered > deadline;
  const Instant until = silent ? deadline : answered;
  if (until > world_.now()) co_await world_.loop().sleep_until(until);
  if (silent) co_return fail(ErrorCode::kUpstreamConnectFailed, address + ": connect timed out");
  co_return open(address);
}

void Network::black_hole(const std::string& address) {
  black_holes_[address] = true;
}
void Network::restore(const std::string& address) {
  black_holes_.erase(address);
}

void Network::cut(const std::string& address) {
  const auto [begin, end] = connections_.equal_range(address);
  for (auto at = begin; at != end; ++at) {
    if (const auto connection = at->second.lock()) connection->reset();
  }
}

std::size_t Network::connections_made(const std::string& address) const {
  const auto found = made_.find(address);
  return found == made_.end() ? 0 : found->second;
}

std::size_t Network::connections_open(const std::string& address) const {
  const auto [begin, end] = connections_.equal_range(address);
  return static_cast<std::size_t>(std::count_if(begin, end, [](const auto& entry) {
    const auto connection = entry.second.lock();
    return connection && !connection->over();
  }));
}

}  // namespace infermesh::port::fake
