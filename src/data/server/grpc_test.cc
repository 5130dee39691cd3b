// gRPC calls from a client's frames to an engine's and back.
#include <gtest/gtest.h>

#include "data/server/testing_grpc_mesh.h"

namespace infermesh::data {
namespace {

TEST(Grpc, ACallPassesAsBytesWithItsTrailers) {
  GrpcMesh g;
  g.engine().echoes();
  auto client = g.connect();
  const std::string body = message("m", std::string("\x3a\x03\0\1\2", 5));
  g.call(*client, 1, body,
         field("x-request-id", "mine") + field("grpc-timeout", "5S") +
             field("authorization", "secret") + field("x-meta", "a"));
  const auto& answer = client->wait(1);
  EXPECT_EQ(answer.status(), 200);
  EXPECT_EQ(answer.body, body);
  EXPECT_TRUE(answer.ended);
  EXPECT_FALSE(answer.reset);
  EXPECT_EQ(answer.head.at("content-type"), "application/grpc");
  EXPECT_EQ(answer.head.at("x-from-engine"), "1");
  EXPECT_EQ(answer.head.at("x-infermesh-engine"), "e0");
  EXPECT_EQ(answer.trailers.at("grpc-status"), "0");
  EXPECT_EQ(answer.trailers.at("x-last"), "yes");
  ASSERT_EQ(g.engine().calls.size(), 1u);
  const auto& fields = g.engine().calls[0]->fields;
  EXPECT_EQ(fields.at(":path"), kService + "ModelInfer");
  EXPECT_EQ(fields.at("te"), "trailers");
  EXPECT_EQ(fields.at("x-meta"), "a");
  EXPECT_EQ(fields.at("x-request-id"), "mine.1");
  EXPECT_EQ(fields.at("grpc-timeout"), "5000000u");
  EXPECT_FALSE(fields.contains("authorization"));
  EXPECT_TRUE(g.mesh.counted(R"(infermesh_requests_total{model="m",api="grpc",code="200"} 1)"))
      << g.mesh.metrics_text();
  EXPECT_EQ(g.mesh.shard.decisions.find("mine")->status, 200);
  EXPECT_EQ(g.mesh.outcomes.size(), 0u) << "a success says nothing new";
}

TEST(Grpc, TheFirstMessageMayComeInAnyPieces) {
  const std::string body = message("m", std::string("\x3a\x03\0\1\2", 5));
  for (std::size_t cut = 1; cut < body.size(); ++cut) {
    GrpcMesh g;
    g.engine().echoes();
    auto client = g.connect();
    client->send(frame(kHeaders, kEndHeaders, 1, GrpcMesh::head("ModelInfer")));
    client->send(frame(kData, 0, 1, body.substr(0, cut)));
    client->send(frame(kData, kEndStream, 1, body.substr(cut)));
    EXPECT_EQ(client->wait(1).body, body) << cut;
  }
}

TEST(Grpc, OneConnectionToTheEngineCarriesManyCalls) {
  GrpcMesh g;
  g.engine().echoes();
  auto client = g.connect();
  for (std::uint32_t i = 0; i < 90; ++i) g.call(*client, 2 * i + 1, message("m"));
  for (std::uint32_t i = 0; i < 90; ++i)
    EXPECT_EQ(client->wait(2 * i + 1).trailers.at("grpc-status"), "0") << i;
  EXPECT_EQ(g.engine().connections.size(), 1u);
}

TEST(Grpc, MoreConnectionsAreMadeWhenOneIsFull) {
  GrpcMesh g;
  g.engine().limits.streams_max = 2;
  g.engine().plays([](TestCall& call) -> port::Task<void> {
    co_await call.whole();
    co_await call.world.loop().sleep_until(call.world.now() + 1s);
    call.head();
    call.end();
  });
  auto client = g.connect();
  g.call(*client, 1, message("m"));  // by which the engine's limit becomes known
  client->wait(1);
  for (std::uint32_t i = 1; i < 7; ++i) g.call(*client, 2 * i + 1, message("m"));
  for (std::uint32_t i = 1; i < 7; ++i)
    EXPECT_EQ(client->wait(2 * i + 1).trailers["grpc-status"], "0") << i;
  EXPECT_GE(g.engine().connections.size(), 3u);
}

struct Refused {
  const char* what;
  std::string head, body;
  int status;
  std::string words;
};

TEST(Grpc, ErrorsOfTheRouterAreStatuses) {
  const std::string infer = GrpcMesh::head("ModelInfer");
  const std::string far = "\x2a\xff\xff\x07" + std::string(0x1ffff, 'x');
  const std::vector<Refused> all{
      {"an unknown model", infer, message("none"), 5, "none"},
      {"no model", infer, grpc::frame_message(""), 3, "name"},
      {"no message", infer, "", 3, "message"},
      {"no protobuf", infer, grpc::frame_message("\x0b"), 3, "protobuf"},
      {"no gRPC", infer, "{\"model\":1}", 3, "gRPC"},
      {"a model too far behind", infer, grpc::frame_message(far + "\x0a\1m").substr(0, 70'000), 3,
       "65536"},
      {"a message over the limit", infer, std::string("\0\x7f\xff\xff\xff", 5), 8, "at most"},
      {"an unknown compression", GrpcMesh::head("ModelInfer", field("grpc-encoding", "zstd")),
       "\1" + message("m").substr(1), 3, "zstd"},
      {"a wrong deadline", GrpcMesh::head("ModelInfer", field("grpc-timeout", "5s")), message("m"),
       3, "grpc-timeout"},
      {"an unknown method", GrpcMesh::head("Nothing"), message("m"), 12, "Nothing"},
      {"what is one engine's", GrpcMesh::head("RepositoryModelLoad"), message("m"), 12,
       "ask that engine"},
  };
  for (const Refused& refused : all) {
    GrpcMesh g;
    g.engine().echoes();
    auto client = g.connect();
    client->send(frame(kHeaders, kEndHeaders, 1, refused.head));
    std::string_view rest = refused.body;
    for (; rest.size() > 16000; rest.remove_prefix(16000))
      client->send(frame(kData, 0, 1, rest.substr(0, 16000)));
    client->send(frame(kData, kEndStream, 1, rest));
    auto& answer = client->wait(1);
    EXPECT_EQ(answer.status(), 200) << refused.what;
    EXPECT_EQ(answer.head["grpc-status"], std::to_string(refused.status)) << refused.what;
    EXPECT_NE(answer.head["grpc-message"].find(refused.words), std::string::npos)
        << refused.what << ": " << answer.head["grpc-message"];
    EXPECT_TRUE(answer.ended) << refused.what;
    EXPECT_TRUE(g.engine().calls.empty()) << refused.what;
  }
}

TEST(Grpc, NoEngineNowIsUnavailableWithAHintWhenToComeBack) {
  GrpcMesh g;
  g.mesh.endpoint(0).state = EndpointState::kDown;
  g.mesh.publish();
  auto client = g.connect();
  g.call(*client, 1, message("m"));
  auto& answer = client->wait(1);
  EXPECT_EQ(answer.head["grpc-status"], "14");
  EXPECT_EQ(answer.head["grpc-retry-pushback-ms"], "1000");
}

TEST(Grpc, ADeadlineEndsTheCallAndTellsTheEngine) {
  GrpcMesh g;
  g.engine().plays([](TestCall& call) -> port::Task<void> { co_await call.until_gone(); });
  auto client = g.connect();
  g.call(*client, 1, message("m"), field("grpc-timeout", "2S"));
  g.mesh.world.run_for(1s);
  EXPECT_EQ(g.mesh.cell().in_flight.load(), 1);
  auto& answer = client->wait(1);
  EXPECT_EQ(answer.head["grpc-status"], "4");
  EXPECT_EQ(g.mesh.world.now() < Instant(2500ms), true);
  g.mesh.world.run_for(10ms);
  EXPECT_TRUE(g.engine().calls.at(0)->gone);
  EXPECT_EQ(g.mesh.cell().in_flight.load(), 0);
}

TEST(Grpc, TheShortestAndTheLongestDeadlineAreKept) {
  GrpcMesh g;
  g.engine().plays([](TestCall& call) -> port::Task<void> {
    co_await call.whole();
    co_await call.world.loop().sleep_until(call.world.now() + 1ms);
    call.head();
    call.end();
  });
  auto client = g.connect();
  g.call(*client, 1, message("m"), field("grpc-timeout", "1n"));
  EXPECT_EQ(client->wait(1).head["grpc-status"], "4");
  g.call(*client, 3, message("m"), field("grpc-timeout", "99999999H"));
  EXPECT_EQ(client->wait(3).trailers["grpc-status"], "0");
}

TEST(GrpcCancel, AResetReachesTheEngineAtEachPhase) {
  const TestGrpcScript phases[] = {
      [](TestCall& call) -> port::Task<void> { co_await call.until_gone(); },
      [](TestCall& call) -> port::Task<void> {
        call.head();
        co_await call.until_gone();
      },
      [](TestCall& call) -> port::Task<void> {
        call.head();
        co_await call.say("\0\0\0\0\1x");
        co_await call.until_gone();
      },
  };
  for (const auto& script : phases) {
    for (const std::uint8_t flags : {kEndStream, std::uint8_t{0}}) {
      GrpcMesh g;
      g.engine().plays(script);
      auto client = g.connect();
      client->send(frame(kHeaders, kEndHeaders, 1, GrpcMesh::head("ModelStreamInfer")) +
                   frame(kData, flags, 1, message("m")));
      g.mesh.world.run_for(100ms);
      ASSERT_EQ(g.mesh.cell().in_flight.load(), 1);
      client->send(reset(1));
      g.mesh.world.run_for(10ms);
      EXPECT_TRUE(g.engine().calls.at(0)->gone);
      EXPECT_EQ(g.engine().calls.at(0)->stream->code(), http2::Code::kCancel);
      EXPECT_EQ(g.mesh.cell().in_flight.load(), 0);
      EXPECT_TRUE(g.mesh.counted(R"(infermesh_cancelled_total{api="grpc"} 1)"));
    }
  }
}

TEST(GrpcFlow, AClientThatDoesNotReadStopsTheEngine) {
  GrpcMesh g;
  g.engine().plays([](TestCall& call) -> port::Task<void> {
    co_await call.whole();
    call.head();
    while (!call.stream->broken()) {
      co_await call.say(std::string(10'000, 'x'));
    }
  });
  auto client = g.connect();
  g.call(*client, 1, message("m"));
  g.mesh.world.run_for(1s);
  const std::size_t stopped_at = g.engine().calls.at(0)->written;
  EXPECT_LT(stopped_at, 600'000u);
  g.mesh.world.run_for(5s);
  EXPECT_EQ(g.engine().calls.at(0)->written, stopped_at);
  client->send(window(0, 1 << 20) + window(1, 500'000));
  g.mesh.world.run_for(1s);
  EXPECT_GT(g.engine().calls.at(0)->written, stopped_at + 100'000);
  client->send(reset(1));
}

TEST(GrpcFlow, AnEngineThatDoesNotReadStopsTheClient) {
  GrpcMesh g;
  g.engine().plays([](TestCall& call) -> port::Task<void> { co_await call.until_gone(); });
  auto client = g.connect();
  client->send(frame(kHeaders, kEndHeaders, 1, GrpcMesh::head("ModelStreamInfer")) +
               frame(kData, 0, 1, message("m")));
  std::size_t sent = 0;
  while (sent < 4'000'000) {
    std::size_t granted = 128 << 10, all = 1 << 20;
    for (const auto& got : client->frames) {
      if (got.type != kWindow) continue;
      (got.stream == 1 ? granted : all) += number_at(got.payload, 0);
    }
    if (sent + 10'100 > std::min(granted, all)) break;
    client->send(frame(kData, 0, 1, std::string(10'000, 'x')));
    sent += 10'000;
    g.mesh.world.run_for(1ms);
  }
  EXPECT_LT(sent, 600'000u) << "windows and bounded buffers only";
  client->send(reset(1));
}

TEST(GrpcQueue, CallsWaitForRoomLikeAnyRequest) {
  GrpcMesh g;
  g.mesh.endpoint(0).in_flight_max = 1;
  g.mesh.publish();
  g.engine().plays([](TestCall& call) -> port::Task<void> {
    co_await call.whole();
    co_await call.world.loop().sleep_until(call.world.now() + 100ms);
    call.head();
    call.end();
  });
  auto client = g.connect();
  for (const std::uint32_t stream : {1u, 3u, 5u}) g.call(*client, stream, message("m"));
  g.mesh.world.run_for(10ms);
  EXPECT_EQ(g.mesh.shard.admission.waiting(PoolId(0)), 2u);
  for (const std::uint32_t stream : {1u, 3u, 5u})
    EXPECT_EQ(client->wait(stream).trailers["grpc-status"], "0");
}

TEST(GrpcOwn, QuestionsAboutTheRouterAreAnsweredByIt) {
  GrpcMesh g;
  auto client = g.connect();
  const std::pair<const char*, std::string> wanted[] = {
      {"ServerLive", std::string("\x08\x01", 2)},
      {"ServerReady", std::string("\x08\x01", 2)},
      {"ServerMetadata", "\x0a\x09infermesh\x12" + std::string(1, '\0')},
      {"RepositoryIndex", "\x0a\x0a\x0a\x01m\x1a\x05READY"},
  };
  std::uint32_t stream = 1;
  for (const auto& [method, answer] : wanted) {
    client->send(frame(kHeaders, kEndHeaders, stream, GrpcMesh::head(method)) +
                 frame(kData, kEndStream, stream, grpc::frame_message("")));
    auto& got = client->wait(stream);
    EXPECT_EQ(got.body, grpc::frame_message(answer)) << method;
    EXPECT_EQ(got.trailers["grpc-status"], "0") << method;
    stream += 2;
  }
}

}  // namespace
}  // namespace infermesh::data
