// Target: whom to connect to, and how. A plain value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/model/tls_options.h"

namespace infermesh::port {

// What is spoken once the connection stands; TLS says it to the peer (ALPN).
enum class Protocol : std::uint8_t { kHttp1, kHttp2 };

struct Target {
  std::string host;  // a name or an address literal, IPv6 without brackets
  std::uint16_t port = 0;
  std::optional<TlsOptions> tls;  // absent: plain TCP
  Protocol protocol = Protocol::kHttp1;
};

}  // namespace infermesh::port
