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

TEST(WebSocket, WhereFramesEndIsKnownAtEachByte) {
  const std::string small("\x81\x02hi", 4), empty("\x89\0", 2), masked("\x81\x81kkkk!", 7);
  const std::string medium = std::string("\x82\x7e\x01\0", 4) + std::string(256, 'x');
  const std::string large =
      std::string("\x82\xff\0\0\0\0\0\1\0\0kkkk", 14) + std::string(65536, 'x');
  for (const std::string& frame : {small, empty, masked, medium, large}) {
    WebSocketFrames whole, bytes;
    for (int twice = 0; twice < 2; ++twice) {
      for (std::size_t i = 0; i < frame.size(); ++i) {
        bytes.pass(std::string_view(frame).substr(i, 1));
        EXPECT_EQ(bytes.amid(), i + 1 < frame.size()) << frame.size() << " " << i;
      }
      whole.pass(frame);
      EXPECT_FALSE(whole.amid()) << frame.size();
    }
  }
}

TEST(WebSocket, ACloseFrameIsMaskedWhereAClientSendsIt) {
  EXPECT_EQ(websocket_close(1001, "bye"), std::string("\x88\x05\x03\xe9"
                                                      "bye"));
  const std::string sent = websocket_close(1001, "bye", 0x01020304);
  ASSERT_EQ(sent.substr(0, 6), std::string("\x88\x85\1\2\3\4"));
  std::string payload = sent.substr(6);
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] ^= sent[2 + i % 4];
  EXPECT_EQ(payload, std::string("\x03\xe9"
                                 "bye"));
  EXPECT_EQ(websocket_close(1001, std::string(500, 'x')).size(), 127u);
}

}  // namespace
}  // namespace infermesh::http
