// WebSocket (RFC 6455) as far as a tunnel needs it: the opening handshake of a client, and which of
// the subprotocols it offers are credentials, where its frames end, and how to close it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/http/head.h"

namespace infermesh::http {

constexpr std::string_view kWebSocket = "websocket";

// Whether the request is an opening handshake: kUpgradeRequired (no upgrade, or another version
// than 13), kInvalidField (its key).
Result<void> check_websocket(const RequestHead& head);

// Whether a response accepts it.
bool accepts_websocket(const ResponseHead& head);

// A Sec-WebSocket-Protocol value without the entries by which browsers send their keys
// (openai-insecure-api-key.KEY); empty when nothing is left.
std::string public_protocols(std::string_view offered);

// Where in one direction's frames the bytes are that have passed. What is no frame is not noticed.
class WebSocketFrames {
 public:
  void pass(std::string_view bytes);
  bool amid() const { return head_bytes_ > 0 || left_ > 0; }  // a frame is there in part

 private:
  void read_head(unsigned char byte);

  std::uint32_t head_bytes_ = 0;  // of the present frame's head
  std::uint32_t head_size_ = 2;   // of it, as far as is known
  std::uint32_t length_bytes_ = 0;
  std::uint64_t size_ = 0;
  std::uint64_t left_ = 0;  // of the payload
};

constexpr std::uint16_t kGoingAway = 1001;
// A close frame; a client's is masked with `key`. The reason is cut to what a frame takes.
std::string websocket_close(std::uint16_t code, std::string_view reason,
                            std::optional<std::uint32_t> key = std::nullopt);

}  // namespace infermesh::http
