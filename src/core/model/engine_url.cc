#include "core/model/engine_url.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace infermesh {
namespace {

bool is_host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '-' || c == '_';
}

bool is_ipv6_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' ||
         c == '.' || c == '%';
}

bool all_of(std::string_view text, bool (*accepts)(char)) {
  return std::all_of(text.begin(), text.end(), accepts);
}

}  // namespace

std::string_view to_string(Scheme scheme) {
  return scheme == Scheme::kHttps ? "https" : "http";
}

std::string EngineUrl::text() const {
  return fmt::format("{}://{}", to_string(scheme), authority);
}

std::optional<HostAndPort> split_host_port(std::string_view text, PortRule rule) {
  std::string_view host = text;
  std::string_view port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    host = text.substr(1, close - 1);
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && rest[0] != ':') return std::nullopt;
    has_port = !rest.empty();
    if (has_port) port = rest.substr(1);
    if (host.find(':') == std::string_view::npos || !all_of(host, is_ipv6_char))
      return std::nullopt;
  } else {
    const auto colon = text.rfind(':');
    has_port = colon != std::string_view::npos;
    host = text.substr(0, colon);
    if (has_port) port = text.substr(colon + 1);
    if (!all_of(host, is_host_char)) return std::nullopt;
  }
  if (!has_port) {
    if (rule == PortRule::kRequired) return std::nullopt;
    return HostAndPort{std::string(host), 0};
  }
  const auto number = parse_u64(port);
  if (!number || *number > 65535) return std::nullopt;
  return HostAndPort{std::string(host), static_cast<std::uint16_t>(*number)};
}

Result<EngineUrl> parse_engine_url(std::string_view text) {
  const auto refuse = [&](std::string_view why) {
    return fail(ErrorCode::kInvalidConfig, fmt::format("\"{}\" {}", text, why));
  };
  std::string_view rest = text;
  Scheme spoken = Scheme::kHttp;
  if (const auto scheme_end = rest.find("://"); scheme_end != std::string_view::npos) {
    const std::string_view scheme = rest.substr(0, scheme_end);
    if (iequals(scheme, "https")) spoken = Scheme::kHttps;
    if (spoken == Scheme::kHttp && !iequals(scheme, "http"))
      return refuse("is not an engine's URL, such as http://127.0.0.1:8000");
    rest.remove_prefix(scheme_end + 3);
  }
  if (rest.find('@') != std::string_view::npos) {
    return refuse("carries credentials; name the variable that holds the key in api_key_env");
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.find_first_of("/?#") != std::string_view::npos) {
    return refuse("has a path; give only http://HOST:PORT");
  }
  auto parts = split_host_port(rest, PortRule::kOptional);
  if (!parts || parts->host.empty()) {
    return refuse("is not an engine's URL, such as http://127.0.0.1:8000");
  }
  const bool has_port = rest.ends_with(fmt::format(":{}", parts->port)) || rest.ends_with(":0");
  if (parts->port == 0 && has_port)
    return refuse("has port 0; give the port the engine listens on");
  if (parts->port == 0) parts->port = spoken == Scheme::kHttps ? 443 : 80;
  const bool ipv6 = parts->host.find(':') != std::string::npos;
  std::string host = lower(parts->host);
  std::string authority =
      ipv6 ? fmt::format("[{}]:{}", host, parts->port) : fmt::format("{}:{}", host, parts->port);
  return EngineUrl{std::move(host), parts->port, std::move(authority), spoken};
}

}  // namespace infermesh
