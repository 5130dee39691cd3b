// Requests over HTTP/2: what HTTP/1 gives, on many streams of one connection.
#include <gtest/gtest.h>

#include "data/server/testing_http2.h"
#include "data/server/testing_mesh.h"

namespace infermesh::data {
namespace {

TEST(Http2, APostIsAnsweredLikeOneOverHttp1) {
  TestMesh mesh;
  mesh.engine().answers(json_answer(kPlainAnswer, 200, "X-Engine-Own: 1\r\nConnection: close\r\n"));
  Http2Client client(mesh.world);
  client.greet();
  client.post(1, kPlainBody, field("x-request-id", "mine"));
  const auto& answer = client.wait(1);
  EXPECT_EQ(answer.status(), 200);
  EXPECT_TRUE(answer.ended);
  EXPECT_EQ(answer.body, kPlainAnswer);
  EXPECT_EQ(answer.head.at("content-type"), "application/json");
  EXPECT_EQ(answer.head.at("content-length"), std::to_string(kPlainAnswer.size()));
  EXPECT_EQ(answer.head.at("x-request-id"), "mine");
  EXPECT_EQ(answer.head.at("x-infermesh-engine"), "e0");
  EXPECT_EQ(answer.head.at("x-engine-own"), "1");
  EXPECT_FALSE(answer.head.contains("connection"));
  ASSERT_EQ(mesh.engine().asked(), 1u);
  EXPECT_EQ(mesh.engine().requests[0].body, kPlainBody);
  EXPECT_FALSE(client.goaway);
  EXPECT_TRUE(mesh.counted(R"(infermesh_requests_total{model="m",api="chat",code="200"} 1)"));
  EXPECT_EQ(mesh.shard.decisions.find("mine")->status, 200);
}

TEST(Http2, TheEngineSeesAnHttp1Request) {
  TestMesh mesh;
  mesh.engine().answers(json_answer(kPlainAnswer));
  Http2Client client(mesh.world);
  client.greet();
  client.post(1, kPlainBody,
              field("cookie", "a=1") + field("x-more", "2") + field("cookie", "b=2") +
                  field("te", "trailers"));
  EXPECT_EQ(client.wait(1).status(), 200);
  const std::string& head = mesh.engine().requests.at(0).head;
  EXPECT_TRUE(head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n")) << head;
  EXPECT_NE(head.find("host: " + mesh.engine().address()), std::string::npos) << head;
  EXPECT_NE(head.find("cookie: a=1; b=2\r\n"), std::string::npos) << head;
  EXPECT_NE(head.find("x-more: 2\r\n"), std::string::npos) << head;
  EXPECT_EQ(head.find("te:"), std::string::npos) << head;
  EXPECT_EQ(head.find(":authority"), std::string::npos) << head;
}

TEST(Http2, ThePrefaceMayComeInAnyPieces) {
  const std::string bytes =
      std::string(http2::kClientPreface) + frame(kSettings, 0, 0) +
      frame(kHeaders, kEndHeaders | kEndStream, 1, head_of("GET", "/v1/models"));
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    TestMesh mesh;
    Http2Client client(mesh.world);
    client.raw.send(bytes.substr(0, cut));
    client.raw.send(bytes.substr(cut));
    EXPECT_EQ(client.wait(1).status(), 200) << cut;
  }
}

TEST(Http2, TheServersSettingsSayWhatItTakes) {
  TestMesh mesh;
  Http2Client client(mesh.world);
  client.greet();
  ASSERT_FALSE(client.frames.empty());
  EXPECT_EQ(client.frames[0].type, kSettings);
  std::map<std::uint32_t, std::uint32_t> settings;
  for (std::size_t at = 0; at < client.frames[0].payload.size(); at += 6)
    settings[number_at(client.frames[0].payload, at, 2)] =
        number_at(client.frames[0].payload, at + 2);
  EXPECT_EQ(settings[3], 256u) << "streams";
  EXPECT_EQ(settings[4], 128u << 10) << "window";
  EXPECT_EQ(settings[6], 64u << 10) << "head";
  EXPECT_EQ(settings[9], 1u) << "no priorities";
  EXPECT_EQ(client.count(kSettings, kAck), 1u) << "of the client's";
}

TEST(Http2, AStreamIsRelayedAsItComes) {
  TestMesh mesh;
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.write(kSseHead + chunk(delta("a")));
    co_await wire.sleep(1s);
    co_await wire.write(chunk(delta("b")) + chunk(kDone) + kLastChunkText);
  });
  Http2Client client(mesh.world);
  client.greet();
  client.post(1, kStreamBody);
  mesh.world.run_for(100ms);
  client.read();
  EXPECT_EQ(client.answers[1].body, delta("a"));
  EXPECT_FALSE(client.answers[1].head.contains("transfer-encoding"));
  const auto& answer = client.wait(1);
  EXPECT_EQ(answer.body, delta("a") + delta("b") + kDone);
  EXPECT_TRUE(answer.ended);
}

TEST(Http2, AnAnswersHeadAndBodyLeaveInOneWrite) {
  TestMesh mesh;
  Http2Client client(mesh.world);
  client.greet();
  client.get(1, "/v1/models");
  client.wait(1);
  ASSERT_GE(client.frames.size(), 2u);
  const auto& last = client.frames.back();
  EXPECT_EQ(last.type, kData);
  EXPECT_EQ(last.flags, kEndStream) << "no frame of its own for the end";
}

TEST(Http2, ManyStreamsAreServedAtOnce) {
  TestMesh mesh;
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.sleep(1s);
    co_await wire.write(json_answer(kPlainAnswer));
  });
  Http2Client client(mesh.world);
  client.greet();
  for (std::uint32_t i = 0; i < 100; ++i) client.post(2 * i + 1, kPlainBody);
  for (std::uint32_t i = 0; i < 100; ++i) EXPECT_EQ(client.wait(2 * i + 1).body, kPlainAnswer) << i;
  EXPECT_LE(mesh.world.now(), Instant(1500ms));
}

TEST(Http2, ABodyOfUnknownLengthEndsWithItsStream) {
  TestMesh mesh;
  mesh.engine().answers(json_answer(kPlainAnswer));
  Http2Client client(mesh.world);
  client.greet();
  client.send(frame(kHeaders, kEndHeaders, 1, chat_head()));
  for (const char c : kPlainBody) client.send(frame(kData, 0, 1, std::string(1, c)));
  mesh.world.run_for(1s);
  EXPECT_EQ(mesh.engine().asked(), 1u) << "routed once enough is known";
  client.send(frame(kData, kEndStream, 1));
  EXPECT_EQ(client.wait(1).body, kPlainAnswer);
  EXPECT_EQ(mesh.engine().requests.at(0).body, kPlainBody);
}

TEST(Http2, ABodyOfAnnouncedLengthIsPassedWithIt) {
  TestMesh mesh;
  mesh.engine().answers(json_answer(kPlainAnswer));
  Http2Client client(mesh.world);
  client.greet();
  client.post(1, kPlainBody, field("content-length", std::to_string(kPlainBody.size())));
  EXPECT_EQ(client.wait(1).body, kPlainAnswer);
}

TEST(Http2, ABodyLongerThanTheWindowsComesWhole) {
  TestMesh mesh;
  mesh.engine().answers(json_answer(kPlainAnswer));
  const std::string body =
      R"({"model":"m","messages":[{"content":")" + std::string(3 << 20, 'x') + R"("}]})";
  Http2Client client(mesh.world);
  client.greet();
  client.send(frame(kHeaders, kEndHeaders, 1, chat_head()));
  std::size_t seen = 0;
  std::int64_t stream = 128 << 10, connection = 1 << 20;
  for (std::size_t at = 0; at < body.size();) {
    for (; seen < client.frames.size(); ++seen) {
      const auto& got = client.frames[seen];
      if (got.type != kWindow) continue;
      (got.stream == 0 ? connection : stream) += number_at(got.payload, 0);
    }
    const auto room = std::min<std::int64_t>({16384, stream, connection});
    ASSERT_GT(room, 0) << at;
    const std::string piece = body.substr(at, static_cast<std::size_t>(room));
    at += piece.size();
    stream -= static_cast<std::int64_t>(piece.size());
    connection -= static_cast<std::int64_t>(piece.size());
    client.send(frame(kData, at == body.size() ? kEndStream : 0, 1, piece));
  }
  EXPECT_EQ(client.wait(1).status(), 200);
  EXPECT_EQ(mesh.engine().requests.at(0).body.size(), body.size());
}

TEST(Http2, TrailersOfARequestAreLeftOut) {
  TestMesh mesh;
  mesh.engine().answers(json_answer(kPlainAnswer));
  Http2Client client(mesh.world);
  client.greet();
  client.send(frame(kHeaders, kEndHeaders, 1, chat_head()) + frame(kData, 0, 1, kPlainBody) +
              frame(kHeaders, kEndHeaders | kEndStream, 1, field("x-sum", "1")));
  EXPECT_EQ(client.wait(1).body, kPlainAnswer);
}

TEST(Http2, AHeadMayBeContinued) {
  TestMesh mesh;
  Http2Client client(mesh.world);
  client.greet();
  const std::string head = head_of("GET", "/v1/models", field("x-more", "1"));
  client.send(frame(kHeaders, kEndStream, 1, head.substr(0, 10)) +
              frame(kContinuation, 0, 1, head.substr(10, 20)) +
              frame(kContinuation, kEndHeaders, 1, head.substr(30)));
  EXPECT_EQ(client.wait(1).status(), 200);
}

TEST(Http2, AnEarlyRefusalEndsItsStreamOnly) {
  TestMesh mesh;
  mesh.engine().answers(json_answer(kPlainAnswer));
  Http2Client client(mesh.world);
  client.greet();
  client.send(frame(kHeaders, kEndHeaders, 1, chat_head()) +
              frame(kData, 0, 1, R"({"model":"none","messages":)"));
  const auto& refused = client.wait(1);
  EXPECT_EQ(refused.status(), 404);
  EXPECT_TRUE(refused.ended);
  EXPECT_EQ(refused.reset, 0u) << "NO_ERROR: the rest of the body is not wanted";
  client.send(frame(kData, kEndStream, 1, "[]}"));
  client.post(3, kPlainBody);
  EXPECT_EQ(client.wait(3).status(), 200);
}

TEST(Http2, ExpectContinueIsAnsweredByAnInterimHead) {
  TestMesh mesh;
  mesh.engine().answers(json_answer(kPlainAnswer));
  Http2Client client(mesh.world);
  client.greet();
  client.send(frame(kHeaders, kEndHeaders, 1, chat_head(field("expect", "100-continue"))));
  client.read();
  EXPECT_EQ(client.answers[1].status(), 100);
  client.send(frame(kData, kEndStream, 1, kPlainBody));
  const auto& answer = client.wait(1);
  EXPECT_EQ(answer.status(), 200);
  EXPECT_EQ(answer.body, kPlainAnswer);
}

TEST(Http2, AnAnswerThatBreaksOffIsResetAfterWhatCame) {
  TestMesh mesh;
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.write(kSseHead + chunk(delta("a")));
    co_await wire.sleep(1s);
    wire.reset();
  });
  Http2Client client(mesh.world);
  client.greet();
  client.post(1, kStreamBody);
  const auto& answer = client.wait(1);
  EXPECT_TRUE(answer.body.starts_with(delta("a"))) << answer.body;
  EXPECT_NE(answer.body.find("stream_truncated"), std::string::npos) << answer.body;
  EXPECT_FALSE(answer.ended) << "not a clean end";
  EXPECT_EQ(answer.reset, 2u) << "INTERNAL_ERROR";
}

TEST(Http2, AFailedEngineIsReplacedByAnother) {
  TestMesh mesh(2);
  mesh.engine(0).answers(json_answer("{}", 503));
  mesh.engine(1).answers(json_answer(kPlainAnswer));
  Http2Client client(mesh.world);
  client.greet();
  client.post(1, kPlainBody);
  EXPECT_EQ(client.wait(1).body, kPlainAnswer);
}

TEST(Http2, AnIdleConnectionIsClosedWithGoaway) {
  TestMesh mesh;
  Http2Client client(mesh.world);
  client.greet();
  client.get(1, "/v1/models");
  client.wait(1);
  mesh.world.run_for(40s);
  client.send(frame(kPing, 0, 0, "12345678"));
  EXPECT_FALSE(client.closed());
  mesh.world.run_for(40s);
  EXPECT_TRUE(client.closed()) << "a PING is no request";
  EXPECT_EQ(client.goaway, 0u);
}

}  // namespace
}  // namespace infermesh::data
