#include "io/names.h"

#include <fmt/format.h>
#include <netdb.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <optional>
#include <thread>

#include "port/wakeup.h"

namespace infermesh::io {
namespace {

using Found = Result<std::vector<SocketAddress>>;

Found look_up(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (error != 0) {
    return fail(ErrorCode::kUpstreamConnectFailed,
                fmt::format("{}: {}", host, ::gai_strerror(error)));
  }
  std::vector<SocketAddress> addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    SocketAddress& address = addresses.emplace_back();
    address.size = std::min<socklen_t>(entry->ai_addrlen, sizeof address.storage);
    std::memcpy(&address.storage, entry->ai_addr, address.size);
  }
  ::freeaddrinfo(list);
  return addresses;
}

struct Lookup {
  std::optional<Found> found;
  port::Wakeup* wake = nullptr;  // null: nobody waits any more
};

}  // namespace

struct Names::Link {
  std::mutex mutex;
  port::Loop* loop;   // null when the loop is gone
  int under_way = 0;  // loop's thread only
};

Names::Names(port::Loop& loop) : loop_(loop), link_(std::make_shared<Link>()) {
  link_->loop = &loop;
}

Names::~Names() {
  const std::lock_guard lock(link_->mutex);
  link_->loop = nullptr;
}

port::Task<Result<std::vector<SocketAddress>>> Names::find(std::string host, std::uint16_t port,
                                                           Instant deadline) {
  if (link_->under_way >= kLookupsMax) {
    co_return fail(ErrorCode::kUpstreamConnectFailed,
                   fmt::format("{}: {} name lookups are under way already", host, kLookupsMax));
  }
  ++link_->under_way;
  auto lookup = std::make_shared<Lookup>();
  port::Wakeup wake;
  lookup->wake = &wake;
  std::thread([link = link_, lookup, host, port] {
    auto found = std::make_shared<Found>(look_up(host, port));
    const std::lock_guard lock(link->mutex);
    if (link->loop == nullptr) return;
    link->loop->post([link, lookup, found] {
      --link->under_way;
      lookup->found = std::move(*found);
      if (lookup->wake != nullptr) lookup->wake->set();
    });
  }).detach();
  port::Timer timer([&wake] { wake.set(); });
  loop_.arm(timer, deadline);
  co_await wake.wait();
  lookup->wake = nullptr;
  if (lookup->found) co_return std::move(*lookup->found);
  co_return fail(ErrorCode::kUpstreamConnectFailed, fmt::format("{}: name lookup timed out", host));
}

}  // namespace infermesh::io
