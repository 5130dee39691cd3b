// gRPC calls whose engine fails them, and the connections to engines.
#include <gtest/gtest.h>

#include "data/server/testing_grpc_mesh.h"

namespace infermesh::data {
namespace {

TEST(GrpcRetry, AStatusThatSaysNotNowIsTriedElsewhere) {
  GrpcMesh g(2);
  g.engine(0).plays([](TestCall& call) -> port::Task<void> {
    co_await call.whole();
    call.refuse("14", "loading");
  });
  g.engine(1).echoes();
  auto client = g.connect();
  g.call(*client, 1, message("m"), field("x-request-id", "r"));
  EXPECT_EQ(client->wait(1).trailers["grpc-status"], "0");
  const auto& attempts = g.mesh.shard.decisions.find("r")->attempts;
  ASSERT_EQ(attempts.size(), 2u);
  EXPECT_EQ(attempts[0].outcome.kind, OutcomeKind::kOverloaded);
  EXPECT_EQ(attempts[0].retry, "retry");
}

TEST(GrpcRetry, TheEnginesOwnStatusIsPassedWhenNobodyCan) {
  GrpcMesh g;
  g.engine().plays([](TestCall& call) -> port::Task<void> {
    co_await call.whole();
    call.refuse("5", "no%20such");
  });
  auto client = g.connect();
  g.call(*client, 1, message("m"));
  auto& answer = client->wait(1);
  EXPECT_EQ(answer.head["grpc-status"], "5");
  EXPECT_EQ(answer.head["grpc-message"], "no%20such");
}

TEST(GrpcRetry, AnEngineThatCannotBeReachedIsPassedOver) {
  GrpcMesh g(2);
  g.engine(1).echoes();
  auto client = g.connect();
  g.call(*client, 1, message("m"));
  EXPECT_EQ(client->wait(1).trailers["grpc-status"], "0");
  EXPECT_EQ(g.engine(1).calls.size(), 1u);
}

TEST(GrpcRetry, ACutConnectionBeforeAnAnswerIsTriedElsewhereAndAfterItIsAStatus) {
  for (const bool begun : {false, true}) {
    GrpcMesh g(2);
    g.engine(0).plays([begun](TestCall& call) -> port::Task<void> {
      co_await call.whole();
      if (begun) {
        call.head();
        co_await call.say("part");
      }
      co_await call.until_gone();
    });
    g.engine(1).echoes();
    auto client = g.connect();
    g.call(*client, 1, message("m"));
    g.mesh.world.run_for(100ms);
    g.engine(0).connections.at(0)->cut();
    auto& answer = client->wait(1);
    EXPECT_TRUE(answer.ended);
    EXPECT_EQ(answer.trailers["grpc-status"], begun ? "13" : "0");
    if (!begun) continue;
    EXPECT_EQ(answer.body, "part");
  }
}

TEST(GrpcRetry, ARefusedStreamWasNeverBegunAndIsTriedAgain) {
  GrpcMesh g(2);
  g.engine(0).plays([](TestCall& call) -> port::Task<void> {
    call.stream->reset(http2::Code::kRefused);
    co_return;
  });
  g.engine(1).echoes();
  auto client = g.connect();
  g.call(*client, 1, message("m"));
  EXPECT_EQ(client->wait(1).trailers["grpc-status"], "0");
}

TEST(GrpcRetry, AfterGoawayTheNextCallTakesAnotherConnectionAndTheOldOneEnds) {
  GrpcMesh g;
  g.engine().plays([](TestCall& call) -> port::Task<void> {
    const std::string body = co_await call.whole();
    co_await call.world.loop().sleep_until(call.world.now() + 1s);
    call.head();
    co_await call.say(body);
    call.end();
  });
  auto client = g.connect();
  g.call(*client, 1, message("m"));
  g.mesh.world.run_for(100ms);
  auto& first = *g.engine().connections.at(0);
  first.link.session().go_away(http2::Code::kNone);
  first.wake.set();
  g.mesh.world.run_for(10ms);
  g.call(*client, 3, message("m"));
  EXPECT_EQ(client->wait(1).trailers["grpc-status"], "0") << "finished where it was";
  EXPECT_EQ(client->wait(3).trailers["grpc-status"], "0");
  EXPECT_EQ(g.engine().connections.size(), 2u);
}

TEST(GrpcUpstream, AConnectionThatIsDeadIsFoundByPing) {
  GrpcMesh g(2);
  g.engine(0).plays([](TestCall& call) -> port::Task<void> { co_await call.until_gone(); });
  g.engine(1).echoes();
  auto client = g.connect();
  client->send(frame(kHeaders, kEndHeaders, 1, GrpcMesh::head("ModelStreamInfer")) +
               frame(kData, 0, 1, message("m")));
  g.mesh.world.run_for(100ms);
  ASSERT_EQ(g.engine(0).calls.size(), 1u);
  g.engine(0).connections.at(0)->deaf = true;
  g.mesh.world.run_for(45s);
  client->read();
  EXPECT_EQ(g.engine(1).calls.size(), 1u) << "nothing had been answered: another engine is asked";
  client->send(frame(kData, kEndStream, 1));
  EXPECT_EQ(client->wait(1).trailers["grpc-status"], "0");
}

TEST(GrpcUpstream, AnIdleConnectionIsClosed) {
  GrpcMesh g;
  g.engine().echoes();
  auto client = g.connect();
  g.call(*client, 1, message("m"));
  client->wait(1);
  EXPECT_EQ(g.mesh.shard.http2_upstream.connections(), 1u);
  g.mesh.world.run_for(61s);
  EXPECT_EQ(g.mesh.shard.http2_upstream.connections(), 0u);
}

}  // namespace
}  // namespace infermesh::data
