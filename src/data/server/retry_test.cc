// Other engines when one fails, and how often.
#include <gtest/gtest.h>

#include "data/server/testing_mesh.h"

namespace infermesh::data {
namespace {

void expect_second_engine_answers(TestMesh& mesh) {
  mesh.engine(1).answers(json_answer(kPlainAnswer));
  const TestAnswer answer = mesh.ask(chat(kPlainBody, "x-request-id: r\r\n"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, kPlainAnswer);
  EXPECT_EQ(answer.header("x-infermesh-engine"), "e1");
  EXPECT_EQ(answer.header("x-infermesh-attempts"), "2");
  EXPECT_EQ(mesh.engine(1).requests.at(0).body, kPlainBody);
  const DecisionRecord* record = mesh.shard.decisions.find("r");
  ASSERT_NE(record, nullptr);
  ASSERT_EQ(record->attempts.size(), 2u);
  EXPECT_EQ(record->attempts[0].engine, "e0");
  EXPECT_EQ(record->attempts[0].retry, "retry");
  ASSERT_GE(mesh.outcomes.size(), 1u);
  EXPECT_EQ(mesh.outcomes[0].endpoint, EndpointId(0));
  EXPECT_TRUE(is_failure(mesh.outcomes[0].kind));
}

TEST(Retry, AnotherEngineAnswersWhenOneRefusesTheConnection) {
  TestMesh mesh(2);
  expect_second_engine_answers(mesh);
  EXPECT_EQ(mesh.outcomes[0].kind, OutcomeKind::kConnectFailed);
}

TEST(Retry, AnotherEngineAnswersWhenAConnectTakesTooLong) {
  TestMesh mesh(2);
  mesh.world.network().black_hole(mesh.engine(0).address());
  expect_second_engine_answers(mesh);
  EXPECT_GE(mesh.world.now(), Instant(1s)) << "connect_timeout";
}

TEST(Retry, AnotherEngineAnswersWhenOneResetsBeforeItsFirstByte) {
  TestMesh mesh(2);
  mesh.engine(0).plays([](TestWire& wire) -> port::Task<void> {
    wire.reset();
    co_return;
  });
  expect_second_engine_answers(mesh);
  EXPECT_EQ(mesh.outcomes[0].kind, OutcomeKind::kReset);
}

TEST(Retry, AnotherEngineAnswersWhenOneIsOverloaded) {
  TestMesh mesh(2);
  mesh.engine(0).answers(json_answer(R"({"error":"busy"})", 503));
  expect_second_engine_answers(mesh);
  EXPECT_EQ(mesh.outcomes[0].kind, OutcomeKind::kOverloaded);
}

TEST(Retry, AnotherEngineAnswersWhenOneTalksNonsense) {
  for (const char* nonsense :
       {"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n"
        "content-length: 6\r\n\r\n<html>",
        "HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        "zz\r\n"}) {
    SCOPED_TRACE(nonsense);
    TestMesh mesh(2);
    mesh.engine(0).answers(nonsense);
    expect_second_engine_answers(mesh);
    EXPECT_EQ(mesh.outcomes[0].kind, OutcomeKind::kBadResponse);
  }
}

TEST(Retry, AStreamThatBreaksBeforeItsFirstEventIsTakenElsewhere) {
  TestMesh mesh(2);
  mesh.engine(0).answers(kSseHead + chunk("data: not json\n\n"));
  mesh.engine(1).answers(sse_answer({delta("a"), kDone}));
  const TestAnswer answer = mesh.ask(chat(kStreamBody));
  EXPECT_EQ(answer.body, delta("a") + kDone);
  EXPECT_EQ(answer.header("x-infermesh-engine"), "e1");
}

TEST(Retry, TheSameEngineIsAskedAgainOnlyWhenThereIsNoOther) {
  TestMesh mesh(1);
  mesh.engine().plays([&mesh](TestWire& wire) -> port::Task<void> {
    std::string text = json_answer(kPlainAnswer);
    if (mesh.engine().asked() == 1) text = json_answer(R"({"error":"busy"})", 503);
    co_await wire.write(text);
  });
  const TestAnswer answer = mesh.ask(chat(kPlainBody));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("x-infermesh-attempts"), "2");
  EXPECT_GE(mesh.world.now(), Instant(5ms)) << "after a pause";
}

TEST(Retry, HonoursRetryAfterWhenAllOthersAreEjected) {
  TestMesh mesh(2);
  mesh.view.ejections = {{EndpointId(1), ModelId(0), kNever, false, "5 failures in a row"}};
  mesh.publish();
  mesh.engine(0).plays([&mesh](TestWire& wire) -> port::Task<void> {
    std::string text = json_answer(kPlainAnswer);
    if (mesh.engine(0).asked() == 1) text = json_answer("{}", 503, "retry-after: 3\r\n");
    co_await wire.write(text);
  });
  const TestAnswer answer = mesh.ask(chat(kPlainBody));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("x-infermesh-engine"), "e0");
  EXPECT_EQ(mesh.engine(1).asked(), 0u);
  EXPECT_GE(mesh.world.now(), Instant(3s));
}

TEST(Retry, AttemptsEndAtTheirNumber) {
  TestMesh mesh(5);
  for (std::size_t i = 0; i < 5; ++i) mesh.engine(i).answers(json_answer("{}", 503));
  EXPECT_EQ(mesh.ask(chat(kPlainBody)).status, 503);
  std::size_t asked = 0;
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_LE(mesh.engine(i).asked(), 1u) << i;
    asked += mesh.engine(i).asked();
  }
  EXPECT_EQ(asked, 3u);
}

TEST(Retry, TheBudgetEndsRetriesWhenEverythingFails) {
  TestMesh mesh(2);
  mesh.engine(0).answers(json_answer("{}", 503));
  mesh.engine(1).answers(json_answer("{}", 503));
  constexpr std::size_t kRequests = 200;
  for (std::size_t i = 0; i < kRequests; ++i) mesh.ask(chat(kPlainBody));
  const std::size_t retries = mesh.engine(0).asked() + mesh.engine(1).asked() - kRequests;
  EXPECT_GE(retries, 10u + kRequests / 5 - 5);
  EXPECT_LE(retries, 10u + kRequests / 5 + 5) << "a fifth of requests, and a floor";
  EXPECT_FALSE(mesh.counted("infermesh_retries_refused_total 0"));
}

TEST(Retry, TheBudgetIsThePoolsEvenWhenItChanges) {
  TestMesh mesh(2);
  for (std::size_t i = 0; i < 2; ++i) mesh.engine(i).answers(json_answer("{}", 503));
  for (int i = 0; i < 100; ++i) mesh.ask(chat(kPlainBody));
  mesh.pool().retry_budget = 0;
  mesh.publish();
  int warm_up = 0;
  while (mesh.ask(chat(kPlainBody)).header("x-infermesh-attempts") != "1") ASSERT_LT(++warm_up, 50);
  const std::size_t asked = mesh.engine(0).asked() + mesh.engine(1).asked();
  for (int i = 0; i < 50; ++i) mesh.ask(chat(kPlainBody));
  EXPECT_LE(mesh.engine(0).asked() + mesh.engine(1).asked() - asked, 52u)
      << "no share, only a floor";
}

TEST(Retry, AnEnginesOwnRefusalReachesTheClientInItsForm) {
  TestMesh mesh(2);
  mesh.engine(0).answers(
      json_answer(R"({"object":"error","message":"prompt is too long","type":"BadRequestError"})",
                  400, "retry-after: 7\r\nretry-after-ms: 6900\r\nx-should-retry: false\r\n"));
  mesh.engine(1).answers(json_answer(kPlainAnswer));
  const TestAnswer answer = mesh.ask(chat(kPlainBody));
  EXPECT_EQ(answer.status, 400);
  EXPECT_TRUE(answer.has(R"("error":{)")) << answer.body;
  EXPECT_TRUE(answer.has("prompt is too long"));
  EXPECT_EQ(answer.header("retry-after"), "7");
  EXPECT_EQ(answer.header("retry-after-ms"), "6900");
  EXPECT_EQ(answer.header("x-should-retry"), "false");
  EXPECT_EQ(mesh.engine(1).asked(), 0u) << "it would say the same";
  EXPECT_TRUE(mesh.outcomes.empty()) << "says nothing about the engine's health";
}

TEST(Retry, AnEnginesRefusalWithoutAnEndIsCutShort) {
  TestMesh mesh;
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    bool taken = co_await wire.write(
        "HTTP/1.1 400 X\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n");
    while (taken) {
      co_await wire.sleep(1ms);
      taken = co_await wire.write(chunk(std::string(1000, 'x')));
    }
  });
  const TestAnswer answer = mesh.ask(chat(kPlainBody), 10s);
  EXPECT_EQ(answer.status, 400);
  EXPECT_TRUE(answer.whole);
  EXPECT_LT(answer.body.size(), 2000u);
}

TEST(Retry, NothingIsRepeatedOnceTheClientHasSeenAByte) {
  TestMesh mesh(2);
  mesh.engine(0).plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.write(kSseHead + chunk(delta("a")));
    wire.close();
  });
  mesh.engine(1).answers(sse_answer({delta("a"), kDone}));
  const TestAnswer answer = mesh.ask(chat(kStreamBody));
  EXPECT_TRUE(answer.has("stream_truncated")) << answer.body;
  EXPECT_FALSE(answer.whole);
  EXPECT_EQ(mesh.engine(1).asked(), 0u);
}

TEST(Retry, AStaleConnectionIsDialledAnewAndDoesNotCount) {
  TestMesh mesh(2);
  mesh.engine(0).plays([&mesh](TestWire& wire) -> port::Task<void> {
    if (mesh.engine(0).asked() == 2) co_return wire.reset();  // takes the next request, and is gone
    co_await wire.write(json_answer(kPlainAnswer));
  });
  EXPECT_EQ(mesh.ask(chat(kPlainBody)).status, 200);
  EXPECT_EQ(mesh.shard.upstream.idle(), 1u);
  const TestAnswer answer = mesh.ask(chat(kPlainBody));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("x-infermesh-engine"), "e0");
  EXPECT_EQ(answer.header("x-infermesh-attempts"), "1");
  EXPECT_EQ(mesh.engine(0).asked(), 3u);
  EXPECT_EQ(mesh.world.network().connections_made(mesh.engine(0).address()), 2u);
  EXPECT_TRUE(mesh.outcomes.empty());
}

TEST(Retry, AConnectionThatTheEngineClosesWhileIdleIsDropped) {
  TestMesh mesh;
  mesh.engine().plays([](TestWire& wire) -> port::Task<void> {
    co_await wire.write(json_answer(kPlainAnswer));
    wire.close();
  });
  EXPECT_EQ(mesh.ask(chat(kPlainBody)).status, 200);
  mesh.world.settle();
  EXPECT_EQ(mesh.shard.upstream.idle(), 0u);
  EXPECT_EQ(mesh.ask(chat(kPlainBody)).status, 200);
  EXPECT_EQ(mesh.engine().asked(), 2u);
}

TEST(Retry, AnEngineThatWantsItsConnectionClosedIsObeyed) {
  TestMesh mesh;
  mesh.engine().answers(json_answer(kPlainAnswer, 200, "connection: close\r\n"));
  EXPECT_EQ(mesh.ask(chat(kPlainBody)).status, 200);
  EXPECT_EQ(mesh.shard.upstream.idle(), 0u);
}

TEST(Outcomes, SuccessesAreToldOnlyBesideAFailureOfTheSameModel) {
  TestMesh mesh(2);
  for (std::size_t i = 0; i < 2; ++i) mesh.engine(i).answers(json_answer(kPlainAnswer));
  mesh.ask(chat(kPlainBody));
  EXPECT_TRUE(mesh.outcomes.empty()) << "all is well: nothing to tell";
  mesh.engine(0).answers(json_answer("{}", 500));
  mesh.ask(chat(kPlainBody));
  mesh.endpoint(0).state = EndpointState::kDown;
  mesh.publish();
  mesh.ask(chat(kPlainBody));
  ASSERT_EQ(mesh.outcomes.size(), 2u);
  EXPECT_EQ(mesh.outcomes[0].endpoint, EndpointId(0));
  EXPECT_TRUE(is_failure(mesh.outcomes[0].kind));
  EXPECT_EQ(mesh.outcomes[1].endpoint, EndpointId(1)) << "what the failing one is compared with";
  EXPECT_EQ(mesh.outcomes[1].kind, OutcomeKind::kOk);
  mesh.world.run_for(61s);
  mesh.ask(chat(kPlainBody));
  EXPECT_EQ(mesh.outcomes.size(), 2u) << "a minute later it is old news";
}

TEST(Retry, NoEngineLeftSaysWhichThereAreAndWhyNot) {
  TestMesh mesh(2);
  mesh.endpoint(0).state = EndpointState::kDown;
  mesh.endpoint(0).state_reason = "connection refused";
  mesh.endpoint(1).state = EndpointState::kDraining;
  mesh.publish();
  const TestAnswer answer = mesh.ask(chat(kPlainBody));
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(answer.has("no_healthy_backend")) << answer.body;
  EXPECT_TRUE(answer.has("e0 is down (connection refused)")) << answer.body;
  EXPECT_EQ(answer.header("x-should-retry"), "true");
}

}  // namespace
}  // namespace infermesh::data
