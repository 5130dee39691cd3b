#include "wire/http/websocket.h"

#include <algorithm>

#include "base/text.h"

namespace infermesh::http {
namespace {

constexpr std::string_view kKeyProtocol = "openai-insecure-api-key.";
constexpr std::size_t kKeyBytes = 24;  // base64 of 16 bytes

bool is_base64(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
         c == '/';
}

bool is_key(std::string_view key) {
  return key.size() == kKeyBytes && key.ends_with("==") &&
         std::ranges::all_of(key.substr(0, kKeyBytes - 2), is_base64);
}

bool upgrades(const Headers& headers) {
  if (!connection_lists(headers, "upgrade")) return false;
  const auto upgrade = find(headers, "upgrade");
  return upgrade && std::ranges::any_of(split(*upgrade, ','), [](std::string_view protocol) {
           return iequals(trim(protocol), kWebSocket);
         });
}

}  // namespace

Result<void> check_websocket(const RequestHead& head) {
  if (head.version_minor < 1 || !upgrades(head.headers)) {
    return fail(ErrorCode::kUpgradeRequired, "The request does not ask for a WebSocket.");
  }
  const auto version = find(head.headers, "sec-websocket-version");
  if (trim(version.value_or("")) != "13") {
    return fail(ErrorCode::kUpgradeRequired,
                "The request asks for a WebSocket of another version.");
  }
  if (!is_key(trim(find(head.headers, "sec-websocket-key").value_or("")))) {
    return fail(ErrorCode::kInvalidField, "Sec-WebSocket-Key is not the base64 of 16 bytes.",
                "sec-websocket-key");
  }
  return {};
}

bool accepts_websocket(const ResponseHead& head) {
  return head.status == 101 && upgrades(head.headers) &&
         find(head.headers, "sec-websocket-accept").has_value();
}

std::string public_protocols(std::string_view offered) {
  std::string out;
  for (const std::string_view entry : split(offered, ',')) {
    const std::string_view protocol = trim(entry);
    const bool key = protocol.size() >= kKeyProtocol.size() &&
                     iequals(protocol.substr(0, kKeyProtocol.size()), kKeyProtocol);
    if (protocol.empty() || key) continue;
    if (!out.empty()) out += ", ";
    out.append(protocol);
  }
  return out;
}

}  // namespace infermesh::http
