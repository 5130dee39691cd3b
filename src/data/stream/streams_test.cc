// The parts that stand on streams: out_buffer, client_side, answer_reader, reply,
// upstream_pool.
#include <gtest/gtest.h>

#include "data/stream/answer_reader.h"
#include "data/stream/client_side.h"
#include "data/stream/reply.h"
#include "data/stream/testing_wires.h"
#include "data/stream/upstream_pool.h"

namespace infermesh::data {
namespace {

TEST(OutBuffer, KeepsWhatTheSocketDoesNotTakeAndSendsItLater) {
  Wires wires(10);
  WatchedStream stream(std::move(wires.near_end));
  OutBuffer out(stream);
  const std::array<std::string_view, 3> pieces{"0123", "4567", "89abcdef"};
  out.write(pieces);
  EXPECT_TRUE(out.blocked());
  EXPECT_EQ(out.kept_bytes(), 6u);
  out.write("ghi");
  EXPECT_EQ(out.kept_bytes(), 9u);
  EXPECT_EQ(wires.hear(), "0123456789");
  EXPECT_TRUE(stream.may_write());
  out.flush();
  EXPECT_FALSE(out.blocked());
  EXPECT_EQ(wires.hear(), "abcdefghi");
  EXPECT_EQ(out.bytes_written(), 19u);
}

TEST(OutBuffer, DropsEverythingAfterAFailure) {
  Wires wires;
  WatchedStream stream(std::move(wires.near_end));
  OutBuffer out(stream);
  wires.far_end->close(port::CloseMode::kReset);
  out.write("a");
  EXPECT_TRUE(out.failed());
  out.write("b");
  EXPECT_FALSE(out.blocked());
}

TEST(ClientSide, TakesEarlyRequestsInUpToALimitAndSeesTheClientGo) {
  Wires wires;
  ClientSide client(std::move(wires.near_end));
  wires.say(std::string(2500, 'x'));
  EXPECT_FALSE(client.is_gone(wires.scratch, 1500));
  EXPECT_EQ(client.input.size(), 2000u) << "one read over the limit, no more";
  wires.far_end->close(port::CloseMode::kGraceful);
  wires.world.settle();
  EXPECT_FALSE(client.is_gone(wires.scratch, 1500)) << "not read that far";
  EXPECT_FALSE(client.is_gone(wires.scratch, 10'000)) << "the last bytes";
  wires.world.settle();
  EXPECT_TRUE(client.is_gone(wires.scratch, 10'000));
}

TEST(ClientSide, MayAllowAHalfClose) {
  Wires wires;
  ClientSide client(std::move(wires.near_end));
  client.half_close_is_gone = false;
  wires.far_end->close(port::CloseMode::kSendOnly);
  wires.world.settle();
  EXPECT_FALSE(client.is_gone(wires.scratch, 1000));
  EXPECT_TRUE(client.ended);
}

TEST(AnswerReader, GivesThePayloadAndKeepsWhatIsLeftBeforeAWait) {
  Wires wires;
  WatchedStream stream(std::move(wires.near_end));
  http::BodyDecoder chunked(http::BodyFraming::kChunked, 0, ErrorCode::kUpstreamBadResponse);
  AnswerReader answer(stream, chunked, "3\r\nab");
  EXPECT_EQ(answer.next(wires.scratch).payload, "ab");
  EXPECT_EQ(answer.next(wires.scratch).state, AnswerReader::State::kNothing);
  wires.say("c\r\n2\r\nde\r\n");
  EXPECT_EQ(answer.next(wires.scratch).payload, "c");
  answer.keep();
  wires.scratch.fill('#');  // another exchange uses it
  EXPECT_EQ(answer.next(wires.scratch).payload, "de");
  wires.say("0\r\n\r\n");
  EXPECT_EQ(answer.next(wires.scratch).state, AnswerReader::State::kEnd);
  EXPECT_TRUE(answer.reusable());
  EXPECT_EQ(answer.payload_bytes(), 5u);
}

TEST(AnswerReader, TellsTruncationMalformedFramingAndExtraBytes) {
  const auto read = [](std::string_view begun, bool closes) {
    Wires wires;
    WatchedStream stream(std::move(wires.near_end));
    http::BodyDecoder chunked(http::BodyFraming::kChunked, 0, ErrorCode::kUpstreamBadResponse);
    AnswerReader answer(stream, chunked, std::string(begun));
    if (closes) wires.far_end->close(port::CloseMode::kGraceful);
    auto state = answer.next(wires.scratch).state;
    while (state == AnswerReader::State::kPayload) state = answer.next(wires.scratch).state;
    return std::pair(state, answer.reusable());
  };
  EXPECT_EQ(read("3\r\nab", true).first, AnswerReader::State::kTruncated);
  EXPECT_EQ(read("zz\r\n", false).first, AnswerReader::State::kMalformed);
  EXPECT_EQ(read("0\r\n\r\n", false), std::pair(AnswerReader::State::kEnd, true));
  EXPECT_EQ(read("0\r\n\r\nHTTP/1.1 200", false), std::pair(AnswerReader::State::kEnd, false));
}

TEST(AnswerReader, ABodyWithoutALengthEndsWithItsConnection) {
  Wires wires;
  WatchedStream stream(std::move(wires.near_end));
  http::BodyDecoder open(http::BodyFraming::kUntilClose, 0, ErrorCode::kUpstreamBadResponse);
  AnswerReader answer(stream, open, "abc");
  EXPECT_EQ(answer.next(wires.scratch).payload, "abc");
  wires.far_end->close(port::CloseMode::kGraceful);
  wires.world.settle();
  EXPECT_EQ(answer.next(wires.scratch).state, AnswerReader::State::kEnd);
  EXPECT_FALSE(answer.reusable());
}

TEST(Reply, SendsHeadAndBodyTogetherInTheFormTheClientKnows) {
  Wires wires;
  ClientSide client(std::move(wires.near_end));
  Reply chunked(client, {1, true});
  chunked.begin(200, std::nullopt);
  chunked.header("a", "b");
  EXPECT_EQ(wires.hear(), "") << "nothing is promised yet";
  const std::array<std::string_view, 2> pieces{"he", "llo"};
  chunked.body(pieces);
  chunked.finish("end");
  EXPECT_EQ(wires.hear(),
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\na: b\r\n\r\n"
            "5\r\nhello\r\n3\r\nend\r\n0\r\n\r\n");
  EXPECT_TRUE(chunked.keep_alive());
  EXPECT_EQ(chunked.body_bytes(), 8u);

  Reply until_close(client, {0, true});
  until_close.begin(200, std::nullopt);
  until_close.finish("x");
  EXPECT_EQ(wires.hear(), "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nx");
  EXPECT_FALSE(until_close.keep_alive());

  Reply kept(client, {0, true});
  kept.begin(404, 0);
  kept.finish();
  EXPECT_EQ(wires.hear(),
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n");
}

TEST(Reply, AnAbortedOneHasNoLastChunk) {
  Wires wires;
  ClientSide client(std::move(wires.near_end));
  Reply reply(client, {1, true});
  reply.begin(200, std::nullopt);
  reply.body("x");
  reply.abort();
  EXPECT_FALSE(wires.hear().ends_with("0\r\n\r\n"));
  EXPECT_FALSE(reply.keep_alive());
}

Endpoint endpoint_at(std::uint16_t id, std::uint16_t port) {
  Endpoint endpoint;
  endpoint.id = EndpointId(id);
  endpoint.host = "127.0.0.1";
  endpoint.port = port;
  endpoint.authority = "127.0.0.1:" + std::to_string(port);
  return endpoint;
}

UpstreamConnectionPtr connected(Wires& wires, UpstreamPool& pool, const Endpoint& endpoint) {
  port::Wakeup wake;
  Dial dial = pool.dial(endpoint, kNever, wake);
  wires.world.settle();
  EXPECT_TRUE(dial.ended());
  return dial.take().value();
}

TEST(UpstreamPool, ADialThatIsGivenUpServesTheNextRequest) {
  Wires wires;
  wires.world.network().set_latency(10ms);
  UpstreamPool pool(wires.world.loop(), {2, 4s});
  const Endpoint endpoint = endpoint_at(0, 8000);
  port::Wakeup wake;
  {
    Dial dial = pool.dial(endpoint, kNever, wake);
    wires.world.settle();
    EXPECT_FALSE(dial.ended());
  }
  wires.world.run_for(1s);
  EXPECT_EQ(pool.idle(), 1u);
  EXPECT_NE(pool.take(endpoint), nullptr);
}

TEST(UpstreamPool, GivesTheConnectionUsedLastAndClosesOldOnes) {
  Wires wires;
  UpstreamPool pool(wires.world.loop(), {2, 4s});
  const Endpoint endpoint = endpoint_at(0, 8000);
  EXPECT_EQ(pool.take(endpoint), nullptr);
  std::vector<UpstreamConnectionPtr> made;
  for (int i = 0; i < 3; ++i) {
    made.push_back(connected(wires, pool, endpoint));
  }
  UpstreamConnection* last = made[1].get();
  for (auto& connection : made) pool.give_back(std::move(connection));
  EXPECT_EQ(pool.idle(), 2u) << "no more are kept";
  UpstreamConnectionPtr taken = pool.take(endpoint);
  EXPECT_EQ(taken.get(), last);
  EXPECT_TRUE(taken->reused);
  wires.world.run_for(3s);
  pool.give_back(std::move(taken));
  wires.world.run_for(1500ms);
  EXPECT_EQ(pool.idle(), 1u);
  wires.world.run_for(3s);
  EXPECT_EQ(pool.idle(), 0u);
}

TEST(UpstreamPool, AnIdThatPassedToAnotherEngineBringsNoOldConnection) {
  Wires wires;
  UpstreamPool pool(wires.world.loop(), {2, 4s});
  pool.give_back(connected(wires, pool, endpoint_at(0, 8000)));
  EXPECT_EQ(pool.take(endpoint_at(0, 8001)), nullptr);
}

TEST(UpstreamPool, AConnectionThatTheEngineClosesIsDropped) {
  Wires wires;
  UpstreamPool pool(wires.world.loop(), {2, 4s});
  pool.give_back(connected(wires, pool, endpoint_at(0, 8000)));
  const auto far = wires.world.run(wires.listener->accept()).value();
  far->close(port::CloseMode::kGraceful);
  wires.world.settle();
  EXPECT_EQ(pool.idle(), 0u);
}

}  // namespace
}  // namespace infermesh::data
