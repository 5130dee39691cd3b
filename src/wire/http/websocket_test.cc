#include "wire/http/websocket.h"

#include <gtest/gtest.h>

namespace infermesh::http {
namespace {

RequestHead handshake() {
  RequestHead head;
  head.headers = {{"Connection", "keep-alive, Upgrade"},
                  {"Upgrade", "WebSocket"},
                  {"Sec-WebSocket-Version", "13"},
                  {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}};
  return head;
}

ErrorCode refused(const RequestHead& head) {
  const auto checked = check_websocket(head);
  return checked ? ErrorCode::kInternal : checked.error().code;
}

TEST(WebSocket, TakesAHandshakeOfVersion13) {
  EXPECT_TRUE(check_websocket(handshake()));
}

TEST(WebSocket, RefusesWhatIsNoHandshake) {
  EXPECT_EQ(refused({}), ErrorCode::kUpgradeRequired);
  for (const std::size_t left_out : {0, 1, 2}) {
    RequestHead head = handshake();
    head.headers.erase(head.headers.begin() + static_cast<std::ptrdiff_t>(left_out));
    EXPECT_EQ(refused(head), ErrorCode::kUpgradeRequired) << left_out;
  }
  RequestHead old = handshake();
  old.headers[2].value = "8";
  EXPECT_EQ(refused(old), ErrorCode::kUpgradeRequired);
  RequestHead http10 = handshake();
  http10.version_minor = 0;
  EXPECT_EQ(refused(http10), ErrorCode::kUpgradeRequired);
  for (const std::string_view key :
       {"", "short==", "dGhlIHNhbXBsZSBub25jZQ=!", "dGhlIHNhbXBsZSBub25j\x01Q=="}) {
    RequestHead head = handshake();
    head.headers[3].value = key;
    EXPECT_EQ(refused(head), ErrorCode::kInvalidField) << key;
  }
}

TEST(WebSocket, KeysAmongTheProtocolsStayHere) {
  EXPECT_EQ(public_protocols("realtime, openai-insecure-api-key.sk-1, openai-beta.realtime-v1"),
            "realtime, openai-beta.realtime-v1");
  EXPECT_EQ(public_protocols("OpenAI-Insecure-API-Key.sk-1"), "");
  EXPECT_EQ(public_protocols(" a ,,b"), "a, b");
}

}  // namespace
}  // namespace infermesh::http
