#include "wire/http/websocket.h"

#include <algorithm>

#include "base/text.h"

namespace infermesh::http {
namespace {

constexpr std::string_view kKeyProtocol = "openai-insecure-api-key.";
constexpr std::size_t kKeyBytes = 24;  // base64 of 16 bytes
constexpr std::size_t kControlPayloadMax = 125;
constexpr char kFinalClose = static_cast<char>(0x88);
constexpr unsigned kMaskBit = 0x80;

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

void WebSocketFrames::pass(std::string_view bytes) {
  while (!bytes.empty()) {
    if (left_ > 0) {
      const std::size_t some = std::min<std::uint64_t>(left_, bytes.size());
      left_ -= some;
      bytes.remove_prefix(some);
      continue;
    }
    read_head(static_cast<unsigned char>(bytes[0]));
    bytes.remove_prefix(1);
  }
}

// Two bytes, then the rest of the length and the mask, as the second one says.
void WebSocketFrames::read_head(unsigned char byte) {
  ++head_bytes_;
  if (head_bytes_ == 2) {
    const unsigned char length = byte & 0x7f;
    length_bytes_ = length == 127 ? 8 : length == 126 ? 2 : 0;
    size_ = length_bytes_ > 0 ? 0 : length;
    head_size_ = 2 + length_bytes_ + ((byte & 0x80) != 0 ? 4 : 0);
  } else if (head_bytes_ > 2 && head_bytes_ <= 2 + length_bytes_) {
    size_ = size_ << 8 | byte;
  }
  if (head_bytes_ < head_size_) return;
  left_ = size_;
  head_bytes_ = 0;
  head_size_ = 2;
}

std::string websocket_close(std::uint16_t code, std::string_view reason,
                            std::optional<std::uint32_t> key) {
  std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
  payload.append(reason.substr(0, kControlPayloadMax - payload.size()));
  std::string frame{kFinalClose, static_cast<char>(payload.size() | (key ? kMaskBit : 0))};
  if (!key) return frame.append(payload);
  for (int i = 0; i < 4; ++i) frame += static_cast<char>(*key >> (24 - 8 * i));
  for (std::size_t i = 0; i < payload.size(); ++i)
    payload[i] = static_cast<char>(payload[i] ^ frame[2 + i % 4]);
  return frame.append(payload);
}

}  // namespace infermesh::http
