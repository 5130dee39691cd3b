#include "data/exchange/upstream_head.h"

#include <gtest/gtest.h>

namespace infermesh::data {
namespace {

http::RequestHead head_of(std::string_view text) {
  static std::string kept;
  kept = text;
  http::RequestHeadParser parser;
  EXPECT_TRUE(parser.feed(kept));
  return parser.head();
}

TEST(UpstreamHead, PassesTheClientsHeadersButForItsSecretsAndItsConnection) {
  const auto client = head_of(
      "POST /openai/v1/chat/completions?x=1 HTTP/1.1\r\nHost: mesh\r\nAuthorization: Bearer s\r\n"
      "X-Api-Key: s\r\nX-Goog-Api-Key: s\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n"
      "Keep-Alive: 5\r\nTE: trailers\r\nAccept-Encoding: gzip\r\nX-Request-Id: theirs\r\n"
      "X-Infermesh-Priority: high\r\nContent-Length: 5\r\nContent-Type: application/json\r\n"
      "traceparent: 00-1\r\n\r\n");
  UpstreamHead head;
  head.path = "/v1/chat/completions";
  head.query = client.query;
  head.authority = "10.0.0.1:8000";
  head.request_id = "ours.1";
  head.content_length = 7;
  EXPECT_EQ(make_upstream_head(client, head),
            "POST /v1/chat/completions?x=1 HTTP/1.1\r\nhost: 10.0.0.1:8000\r\n"
            "Content-Type: application/json\r\ntraceparent: 00-1\r\naccept-encoding: identity\r\n"
            "x-request-id: ours.1\r\ncontent-length: 7\r\n\r\n");
}

TEST(UpstreamHead, BringsTheEnginesOwnKeyAndChunksWhatHasNoLength) {
  UpstreamHead head;
  head.path = "/v1/completions";
  head.authority = "e:1";
  head.api_key = "engine-key";
  const std::string text =
      make_upstream_head(head_of("POST /v1/completions HTTP/1.1\r\nhost: x\r\n\r\n"), head);
  EXPECT_NE(text.find("authorization: Bearer engine-key\r\n"), std::string::npos);
  EXPECT_NE(text.find("transfer-encoding: chunked\r\n"), std::string::npos);
}

TEST(UpstreamHead, ARequestForAWebSocketAsksForItAnewWithoutItsKeys) {
  UpstreamHead head;
  head.path = "/v1/realtime";
  head.authority = "e:1";
  head.request_id = "r.1";
  head.upgrade = "websocket";
  const auto client = head_of(
      "GET /v1/realtime HTTP/1.1\r\nhost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Key: k\r\nSec-WebSocket-Protocol: openai-insecure-api-key.s\r\n\r\n");
  EXPECT_EQ(make_upstream_head(client, head),
            "GET /v1/realtime HTTP/1.1\r\nhost: e:1\r\nSec-WebSocket-Key: k\r\n"
            "accept-encoding: identity\r\nx-request-id: r.1\r\nconnection: Upgrade\r\n"
            "upgrade: websocket\r\n\r\n");
}

TEST(UpstreamHead, ReturnsWhatIsNotOfTheConnectionOrOurs) {
  http::ResponseHead head;
  head.headers = {{"Connection", "x-hop"}};
  head.has_connection = true;
  for (const char* name : {"content-type", "x-engine", "retry-after"}) {
    EXPECT_TRUE(is_response_header_passed(head, {name, ""})) << name;
  }
  for (const char* name : {"Server", "content-length", "X-Request-Id", "transfer-encoding", "x-hop",
                           "x-infermesh-engine", "endpoint-load-metrics"}) {
    EXPECT_FALSE(is_response_header_passed(head, {name, ""})) << name;
  }
}

TEST(UpstreamHead, AnEnginesOwnPrefixStandsForV1) {
  Endpoint engine;
  std::string made;
  EXPECT_EQ(path_at(engine, "/v1/embeddings", made), "/v1/embeddings");
  engine.openai_prefix = "/v3";
  EXPECT_EQ(path_at(engine, "/v1/embeddings", made), "/v3/embeddings");
  EXPECT_EQ(path_at(engine, "/v1x", made), "/v1x");
  EXPECT_EQ(path_at(engine, "/rerank", made), "/rerank");
  engine.openai_prefix = "/";
  EXPECT_EQ(path_at(engine, "/v1/embeddings", made), "/embeddings");
}

}  // namespace
}  // namespace infermesh::data
