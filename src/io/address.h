// SocketAddress: an IPv4 or IPv6 address with a port, as the socket calls want it.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace infermesh::io {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);

  sockaddr* raw() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
  std::uint16_t port() const;
  std::string text() const;  // "127.0.0.1:6400", "[::1]:6400"

  // A literal, not a name. Empty: all addresses, IPv6 and IPv4.
  static std::optional<SocketAddress> from_literal(std::string_view host, std::uint16_t port);
};

}  // namespace infermesh::io
