// What a peer may not do (RFC 9113, RFC 7541), one case each, and what it gets for it: in the
// manner of h2spec, on raw frames.
#include <gtest/gtest.h>

#include "data/server/testing_http2.h"
#include "data/server/testing_mesh.h"

namespace infermesh::data {
namespace {

constexpr std::uint32_t kProtocolError = 1, kFlowControlError = 3, kStreamClosed = 5,
                        kFrameSizeError = 6, kCompressionError = 9, kCalm = 11;

std::string get_models(std::uint32_t stream) {
  return frame(kHeaders, kEndHeaders | kEndStream, stream, head_of("GET", "/v1/models"));
}
std::string setting(std::uint16_t id, std::uint32_t value) {
  return big_endian(id, 2) + big_endian(value, 4);
}
std::string open_chat(std::uint32_t stream) {
  return frame(kHeaders, kEndHeaders, stream, chat_head());
}

std::string many_chats(std::uint32_t count) {
  std::string all;
  for (std::uint32_t i = 0; i < count; ++i) all += open_chat(2 * i + 1);
  return all;
}

// ---- errors of the connection

struct Fault {
  const char* what;
  std::string bytes;
  std::uint32_t code;
};

const std::vector<Fault>& connection_faults() {
  static const std::vector<Fault> kAll{
      {"settings of a length that is no multiple of six", frame(kSettings, 0, 0, "12345"),
       kFrameSizeError},
      {"settings on a stream", frame(kSettings, 0, 1, setting(3, 1)), kProtocolError},
      {"an acknowledgement with settings", frame(kSettings, kAck, 0, setting(3, 1)),
       kFrameSizeError},
      {"push neither on nor off", frame(kSettings, 0, 0, setting(2, 2)), kProtocolError},
      {"an initial window of 2^31", frame(kSettings, 0, 0, setting(4, 1u << 31)),
       kFlowControlError},
      {"frames allowed of less than 16384", frame(kSettings, 0, 0, setting(5, 16383)),
       kProtocolError},
      {"frames allowed of more than 2^24-1", frame(kSettings, 0, 0, setting(5, 1u << 24)),
       kProtocolError},
      {"data on stream 0", frame(kData, 0, 0, "x"), kProtocolError},
      {"a head on stream 0", frame(kHeaders, kEndHeaders, 0, chat_head()), kProtocolError},
      {"a reset of stream 0", frame(kReset, 0, 0, big_endian(8, 4)), kProtocolError},
      {"a continuation on stream 0", frame(kContinuation, kEndHeaders, 0, "x"), kProtocolError},
      {"a goaway on a stream", frame(kGoaway, 0, 1, std::string(8, '\0')), kProtocolError},
      {"a ping on a stream", frame(kPing, 0, 1, "12345678"), kProtocolError},
      {"a ping of seven bytes", frame(kPing, 0, 0, "1234567"), kFrameSizeError},
      {"a window update of three bytes", frame(kWindow, 0, 0, "123"), kFrameSizeError},
      {"a window update of nothing", window(0, 0), kProtocolError},
      {"a window update of nothing on a stream", open_chat(1) + window(1, 0), kProtocolError},
      {"a stream more than was allowed and acknowledged", many_chats(300), kProtocolError},
      {"a connection window over 2^31-1", window(0, 0x7fffffff) + window(0, 0x7fffffff),
       kFlowControlError},
      {"a reset of three bytes", open_chat(1) + frame(kReset, 0, 1, "123"), kFrameSizeError},
      {"a reset of a stream that is not open", reset(1), kProtocolError},
      {"data on a stream that is not open", frame(kData, 0, 1, "x"), kProtocolError},
      {"a window update of a stream that is not open", window(1, 1), kProtocolError},
      {"a stream of an even number", get_models(2), kProtocolError},
      {"a continuation of nothing", frame(kContinuation, kEndHeaders, 1, head_of("GET", "/")),
       kProtocolError},
      {"a frame within a head",
       frame(kHeaders, 0, 1, field("a", "b")) + frame(kPing, 0, 0, "12345678"), kProtocolError},
      {"a head continued on another stream",
       frame(kHeaders, 0, 1, head_of("GET", "/")) + frame(kContinuation, kEndHeaders, 3, ""),
       kProtocolError},
      {"a promise by a client", frame(kPush, kEndHeaders, 1, big_endian(2, 4)), kProtocolError},
      {"a frame longer than allowed", open_chat(1) + frame(kData, 0, 1, std::string(16385, 'x')),
       kFrameSizeError},
      {"padding as long as its frame", open_chat(1) + frame(kData, kPadded, 1, "\5abc"),
       kProtocolError},
      {"padding as long as its head",
       frame(kHeaders, kPadded | kEndHeaders, 1,
             "\x20"
             "abc"),
       kProtocolError},
      {"a field of an index that is not", frame(kHeaders, kEndHeaders, 1, "\xfe"),
       kCompressionError},
      {"a field cut short", frame(kHeaders, kEndHeaders, 1, std::string("\0\5ab", 4)),
       kCompressionError},
      {"a table larger than allowed",
       frame(kHeaders, kEndHeaders, 1, "\x3f\xe1\xff\x03" + chat_head()), kCompressionError},
      {"data after the end", get_models(1) + frame(kData, 0, 1, "x"), kStreamClosed},
  };
  return kAll;
}

TEST(Http2Rules, AFaultOfTheConnectionEndsItWithItsCode) {
  for (const Fault& fault : connection_faults()) {
    TestMesh mesh;
    mesh.engine().holds();
    Http2Client client(mesh.world);
    client.greet();
    client.send(fault.bytes);
    mesh.world.run_for(2s);
    client.read();
    EXPECT_TRUE(client.goaway) << fault.what;
    EXPECT_EQ(client.goaway.value_or(0), fault.code) << fault.what;
    EXPECT_TRUE(client.closed()) << fault.what;
  }
}

TEST(Http2Rules, TheFirstFrameIsSettings) {
  TestMesh mesh;
  Http2Client client(mesh.world);
  client.send(std::string(http2::kClientPreface) + frame(kPing, 0, 0, "12345678"));
  mesh.world.run_for(2s);
  client.read();
  EXPECT_EQ(client.goaway, kProtocolError);
  EXPECT_TRUE(client.closed());
}

TEST(Http2Rules, APrefaceThatGoesOnDifferentlyIsNoHttp1Either) {
  TestMesh mesh;
  TestClient client = mesh.connect();
  client.send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
  EXPECT_EQ(client.answer().status, 400);
}

TEST(Http2Rules, APrefaceThatStopsIsNotWaitedForForever) {
  TestMesh mesh;
  TestClient client = mesh.connect();
  client.send("PRI * HTTP/2");
  mesh.world.run_for(9s);
  EXPECT_FALSE(client.closed());
  mesh.world.run_for(3s);
  EXPECT_TRUE(client.closed());
}

TEST(Http2Rules, TooMuchDataForTheWindowIsAFault) {
  TestMesh mesh;
  mesh.endpoint(0).in_flight_max = 1;
  mesh.publish();
  mesh.cell().in_flight.store(1);  // the request waits and is not read
  Http2Client client(mesh.world);
  client.greet();
  client.send(open_chat(1) +
              frame(kData, 0, 1, R"({"model":"m","stream":false,"messages":[{"content":")"));
  for (int i = 0; i < 200 && !client.answers[1].reset && !client.goaway; ++i)
    client.send(frame(kData, 0, 1, std::string(16384, 'x')));
  EXPECT_TRUE(client.answers[1].reset == kFlowControlError || client.goaway == kFlowControlError);
  client.raw.leave();
  mesh.world.settle();
  mesh.cell().in_flight.store(0);
}

// ---- errors of a stream

TEST(Http2Rules, AFaultOfAStreamResetsItAlone) {
  const std::vector<Fault> faults{
      {"a window over 2^31-1", open_chat(1) + window(1, 0x7fffffff), kFlowControlError},
      {"less data than announced",
       frame(kHeaders, kEndHeaders, 1, chat_head(field("content-length", "5"))) +
           frame(kData, kEndStream, 1, "1234"),
       kProtocolError},
      {"more data than announced",
       frame(kHeaders, kEndHeaders, 1, chat_head(field("content-length", "3"))) +
           frame(kData, kEndStream, 1, "1234"),
       kProtocolError},
      {"a length but no data",
       frame(kHeaders, kEndHeaders | kEndStream, 1, chat_head(field("content-length", "3"))),
       kProtocolError},
      {"a second head that does not end the stream",
       open_chat(1) + frame(kHeaders, kEndHeaders, 1, field("x-a", "b")), kProtocolError},
      {"a pseudo-field in trailers",
       open_chat(1) + frame(kHeaders, kEndHeaders | kEndStream, 1, field(":path", "/")),
       kProtocolError},
  };
  for (const Fault& fault : faults) {
    TestMesh mesh;
    mesh.engine().holds();
    Http2Client client(mesh.world);
    client.greet();
    client.send(fault.bytes);
    mesh.world.settle();
    client.read();
    EXPECT_EQ(client.answers[1].reset.value_or(0), fault.code) << fault.what;
    client.send(get_models(3));
    EXPECT_EQ(client.wait(3).status(), 200) << fault.what;
    EXPECT_FALSE(client.goaway) << fault.what;
  }
}

TEST(Http2Rules, AHeadThatIsNoneResetsItsStream) {
  const std::string method = field(":method", "GET"), scheme = field(":scheme", "http"),
                    path = field(":path", "/v1/models"), authority = field(":authority", "x");
  const std::string whole = method + scheme + path + authority;
  const std::pair<const char*, std::string> heads[] = {
      {"a name in capitals", whole + field("X-Capital", "1")},
      {"a pseudo-field after others", method + scheme + authority + field("a", "b") + path},
      {"an unknown pseudo-field", whole + field(":unknown", "1")},
      {"a pseudo-field of answers", whole + field(":status", "200")},
      {"no method", scheme + path + authority},
      {"no scheme", method + path + authority},
      {"no path", method + scheme + authority},
      {"an empty path", method + scheme + field(":path", "") + authority},
      {"no authority", method + scheme + path},
      {"two methods", method + whole},
      {"two paths", whole + path},
      {"a connection field", whole + field("connection", "close")},
      {"a keep-alive field", whole + field("keep-alive", "5")},
      {"a proxy-connection field", whole + field("proxy-connection", "close")},
      {"an upgrade field", whole + field("upgrade", "websocket")},
      {"a transfer-encoding field", whole + field("transfer-encoding", "chunked")},
      {"te that is not trailers", whole + field("te", "gzip")},
      {"two lengths", whole + field("content-length", "0") + field("content-length", "0")},
      {"a length that is no number", whole + field("content-length", "+1")},
      {"a line end in a value", whole + field("x-a", "b\r\nx-smuggled: 1")},
      {"a name with a blank", whole + field("x a", "1")},
      {"a name with a colon", whole + field("x:a", "1")},
  };
  for (const auto& [what, head] : heads) {
    TestMesh mesh;
    Http2Client client(mesh.world);
    client.greet();
    client.send(frame(kHeaders, kEndHeaders | kEndStream, 1, head));
    mesh.world.settle();
    client.read();
    EXPECT_EQ(client.answers[1].reset.value_or(0), kProtocolError) << what;
    EXPECT_EQ(client.answers[1].status(), 0) << what;
    client.send(get_models(3));
    EXPECT_EQ(client.wait(3).status(), 200) << what;
  }
}

TEST(Http2Rules, WhatHttp1RefusesIsRefusedWithTheSameAnswer) {
  const auto head = [](std::string_view method, std::string_view path, std::string_view authority,
                       std::string_view more = {}) {
    return field(":method", method) + field(":scheme", "http") + field(":path", path) +
           field(":authority", authority) + std::string(more);
  };
  std::string long_fields;
  for (int i = 0; i < 8; ++i) long_fields += field("x-a", std::string(9000, 'a'));
  const std::tuple<const char*, std::string, int> heads[] = {
      {"a fragment", head("GET", "/v1/models#a", "x"), 400},
      {"two hosts", head("GET", "/v1/models", "x", field("host", "y")), 400},
      {"user information", head("GET", "/v1/models", "a@x"), 400},
      {"an expectation", head("GET", "/v1/models", "x", field("expect", "more")), 417},
      {"an unknown path", head("GET", "/nothing", "x"), 404},
      {"another method", head("DELETE", "/v1/models", "x"), 405},
      {"no JSON", head("POST", "/v1/chat/completions", "x", field("content-type", "image/png")),
       415},
      {"a head over the limit", head("GET", "/v1/models", "x", long_fields), 431},
  };
  for (const auto& [what, block, status] : heads) {
    TestMesh mesh;
    Http2Client client(mesh.world);
    client.greet();
    std::string_view rest = block;
    std::string bytes = frame(kHeaders, kEndStream, 1, rest.substr(0, 16000));
    for (rest.remove_prefix(std::min<std::size_t>(16000, rest.size())); !rest.empty();
         rest.remove_prefix(std::min<std::size_t>(16000, rest.size())))
      bytes += frame(kContinuation, 0, 1, rest.substr(0, 16000));
    client.send(bytes + frame(kContinuation, kEndHeaders, 1));
    const auto& answer = client.wait(1);
    EXPECT_EQ(answer.status(), status) << what << answer.body;
    EXPECT_TRUE(answer.ended) << what;
    EXPECT_NE(answer.body.find("\"error\""), std::string::npos) << what;
    client.send(get_models(3));
    EXPECT_EQ(client.wait(3).status(), 200) << what;
  }
}

// ---- what must be borne

TEST(Http2Rules, WhatIsUnknownOrOfNoUseIsPassedOver) {
  const std::pair<const char*, std::string> harmless[] = {
      {"an unknown frame", frame(0x7f, 0xff, 0, "anything")},
      {"an unknown frame on a stream", frame(0x7f, 0xff, 9, "anything")},
      {"a head below the last stream, as late trailers may be", get_models(7) + get_models(3)},
      {"an unknown setting", frame(kSettings, 0, 0, setting(0xfff, 7))},
      {"a priority", frame(kPriority, 0, 1, std::string("\0\0\0\0\x10", 5))},
      {"a priority update", frame(0x10, 0, 0, big_endian(1, 4) + "u=1")},
      {"a window update after the end", get_models(7) + window(7, 100)},
      {"a reset after the end", get_models(7) + reset(7)},
      {"padding",
       frame(kHeaders, kEndHeaders | kEndStream | kPadded, 7,
             std::string(1, '\3') + head_of("GET", "/v1/models") + std::string(3, '\0'))},
      {"a reserved bit in a stream's number", frame(kWindow, 0, 0x80000000, big_endian(1, 4))},
  };
  for (const auto& [what, bytes] : harmless) {
    TestMesh mesh;
    Http2Client client(mesh.world);
    client.greet();
    client.send(bytes);
    client.send(get_models(9));
    EXPECT_EQ(client.wait(9).status(), 200) << what;
    EXPECT_FALSE(client.goaway) << what;
  }
}

TEST(Http2Rules, APingIsAnsweredWithItsBytes) {
  TestMesh mesh;
  Http2Client client(mesh.world);
  client.greet();
  client.send(frame(kPing, 0, 0, "abcdefgh"));
  ASSERT_EQ(client.count(kPing, kAck), 1u);
  EXPECT_EQ(client.frames.back().payload, "abcdefgh");
}

TEST(Http2Rules, AGoawayOfTheClientLetsItsStreamsEnd) {
  TestMesh mesh;
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.sleep(1s);
    co_await wire.write(json_answer(kPlainAnswer));
  });
  Http2Client client(mesh.world);
  client.greet();
  client.post(1, kPlainBody);
  client.send(frame(kGoaway, 0, 0, std::string(8, '\0')));
  EXPECT_EQ(client.wait(1).body, kPlainAnswer);
  mesh.world.run_for(2s);
  EXPECT_TRUE(client.closed());
}

TEST(Http2Rules, ASmallerWindowIsKeptTo) {
  TestMesh mesh;
  mesh.engine().answers(json_answer(kPlainAnswer));
  Http2Client client(mesh.world);
  client.greet(setting(4, 10));
  client.post(1, kPlainBody);
  mesh.world.run_for(1s);
  client.read();
  EXPECT_EQ(client.answers[1].body.size(), 10u);
  client.send(frame(kSettings, 0, 0, setting(4, 20)));
  client.read();
  EXPECT_EQ(client.answers[1].body.size(), 20u);
  client.send(window(1, 1000));
  EXPECT_EQ(client.wait(1).body, kPlainAnswer);
}

// ---- limits

TEST(Http2Limits, AStreamTooManyOfWhoDoesNotKnowTheLimitYetMayBeTriedAgain) {
  config::Settings settings;
  settings.http2_streams_max = 3;
  TestMesh mesh(1, settings);
  mesh.engine().holds();
  Http2Client client(mesh.world);
  client.send(std::string(http2::kClientPreface) + frame(kSettings, 0, 0));
  for (const std::uint32_t stream : {1u, 3u, 5u, 7u}) client.post(stream, kPlainBody);
  client.read();
  EXPECT_EQ(client.answers[7].reset, 7u) << "REFUSED_STREAM";
  EXPECT_EQ(mesh.engine().asked(), 3u);
  client.send(reset(1));
  client.get(9, "/v1/models");
  EXPECT_EQ(client.wait(9).status(), 200);
  client.raw.leave();
}

TEST(Http2Limits, StreamsOpenedToBeResetEndTheConnection) {
  TestMesh mesh;
  mesh.engine().holds();
  Http2Client client(mesh.world);
  client.greet();
  std::uint32_t stream = 1;
  for (; stream < 6001 && !client.goaway; stream += 2) {
    client.raw.send(frame(kHeaders, kEndHeaders, stream, chat_head()) + reset(stream));
    if (stream % 100 == 1) client.read();
  }
  client.read();
  EXPECT_EQ(client.goaway, kCalm);
  EXPECT_LT(stream, 3001u);
  mesh.world.run_for(2s);
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(mesh.cell().in_flight.load(), 0);
}

TEST(Http2Limits, StreamsThatWeAreMadeToResetCountToo) {
  TestMesh mesh;
  Http2Client client(mesh.world);
  client.greet();
  for (std::uint32_t stream = 1; stream < 6001 && !client.goaway; stream += 2) {
    client.raw.send(open_chat(stream) + window(stream, 0x7fffffff));
    if (stream % 100 == 1) client.read();
  }
  client.read();
  EXPECT_EQ(client.goaway, kCalm);
}

TEST(Http2Limits, FloodsOfFramesThatCarryNothingEndTheConnection) {
  const std::pair<const char*, std::string> floods[] = {
      {"ping", frame(kPing, 0, 0, "12345678")},
      {"settings", frame(kSettings, 0, 0)},
      {"priority", frame(kPriority, 0, 1, std::string("\0\0\0\0\x10", 5))},
      {"window updates", window(0, 1)},
      {"empty data", frame(kData, 0, 1)},
  };
  for (const auto& [what, bytes] : floods) {
    TestMesh mesh;
    Http2Client client(mesh.world);
    client.greet();
    client.send(open_chat(1));
    std::string many;
    for (int i = 0; i < 100; ++i) many += bytes;
    for (int i = 0; i < 60 && !client.goaway && !client.raw.reset; ++i) client.send(many);
    mesh.world.run_for(2s);
    client.read();
    EXPECT_EQ(client.goaway, kCalm) << what;
    EXPECT_TRUE(client.closed()) << what;
  }
}

TEST(Http2Limits, AcknowledgementsAreNotPiledUpForWhoDoesNotRead) {
  TestMesh mesh;
  TestClient client = mesh.connect();
  client.send(std::string(http2::kClientPreface) + frame(kSettings, 0, 0));
  std::string many;
  for (int i = 0; i < 1000; ++i) many += frame(kPing, 0, 0, "12345678");
  for (int i = 0; i < 20; ++i) {
    client.send_what_fits(many);
    mesh.world.run_for(1s);  // what the flood guard would forgive
  }
  mesh.world.run_for(3s);
  EXPECT_EQ(mesh.server.connections(), 0u);
}

TEST(Http2Limits, AHeadOfManyContinuationsEndsTheConnection) {
  TestMesh mesh;
  Http2Client client(mesh.world);
  client.greet();
  client.send(frame(kHeaders, kEndStream, 1, head_of("GET", "/v1/models")));
  for (int i = 0; i < 20; ++i) client.send(frame(kContinuation, 0, 1, field("a", "b")));
  mesh.world.run_for(2s);
  client.read();
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(client.answers[1].status(), 0);
}

TEST(Http2Limits, AHeadThatStaysHalfHereIsNotWaitedForForever) {
  TestMesh mesh;
  Http2Client client(mesh.world);
  client.greet();
  client.send(frame(kHeaders, kEndStream, 1, head_of("GET", "/v1/models")));
  mesh.world.run_for(9s);
  EXPECT_FALSE(client.closed());
  mesh.world.run_for(3s);
  EXPECT_TRUE(client.closed());
}

}  // namespace
}  // namespace infermesh::data
