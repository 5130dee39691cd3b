// WebSocket (RFC 6455) as far as a tunnel needs it: the opening handshake of a client, and which of
// the subprotocols it offers are credentials. Frames are not looked at.
#pragma once

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

}  // namespace infermesh::http
