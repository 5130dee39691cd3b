#include "io/address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <array>
#include <cstring>

namespace infermesh::io {
namespace {

template <typename T>
T as(const sockaddr_storage& storage) {
  T address;
  std::memcpy(&address, &storage, sizeof address);
  return address;
}

}  // namespace

std::uint16_t SocketAddress::port() const {
  return ntohs(family() == AF_INET6 ? as<sockaddr_in6>(storage).sin6_port
                                    : as<sockaddr_in>(storage).sin_port);
}

std::string SocketAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> host{};
  if (family() == AF_INET6) {
    const in6_addr address = as<sockaddr_in6>(storage).sin6_addr;
    ::inet_ntop(AF_INET6, &address, host.data(), host.size());
    return fmt::format("[{}]:{}", host.data(), port());
  }
  const in_addr address = as<sockaddr_in>(storage).sin_addr;
  ::inet_ntop(AF_INET, &address, host.data(), host.size());
  return fmt::format("{}:{}", host.data(), port());
}

std::optional<SocketAddress> SocketAddress::from_literal(std::string_view host,
                                                         std::uint16_t port) {
  const std::string name = host.empty() ? "::" : std::string(host);
  SocketAddress address;
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = htons(port);
  if (::inet_pton(AF_INET, name.c_str(), &four.sin_addr) == 1) {
    std::memcpy(&address.storage, &four, sizeof four);
    address.size = sizeof four;
    return address;
  }
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  if (::inet_pton(AF_INET6, name.c_str(), &six.sin6_addr) != 1) return std::nullopt;
  std::memcpy(&address.storage, &six, sizeof six);
  address.size = sizeof six;
  return address;
}

}  // namespace infermesh::io
