// The address of an engine as people write it: http://HOST:PORT or https://HOST:PORT. The scheme
// may be left out (http); the port is 80, or 443 with https, without one; a path, a query,
// credentials and other schemes are refused, each with its own sentence.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace infermesh {

enum class Scheme : std::uint8_t { kHttp, kHttps };
std::string_view to_string(Scheme scheme);  // "http", "https"

struct EngineUrl {
  std::string host;        // a name or an address literal, IPv6 without brackets
  std::uint16_t port = 0;  // 1..65535
  std::string authority;   // host:port, IPv6 in brackets
  Scheme scheme = Scheme::kHttp;

  std::string text() const;  // "http://127.0.0.1:8000"
  bool operator==(const EngineUrl&) const = default;
};

Result<EngineUrl> parse_engine_url(std::string_view text);  // kInvalidConfig

// Splits "HOST:PORT", "[::1]:PORT" or "HOST". The port is 0 when it is left out; nullopt when
// malformed.
struct HostAndPort {
  std::string host;
  std::uint16_t port = 0;
};
enum class PortRule : std::uint8_t { kRequired, kOptional };
std::optional<HostAndPort> split_host_port(std::string_view text, PortRule rule);

}  // namespace infermesh
