#include "signal/engine/http_probe.h"

#include <gtest/gtest.h>

#include "port/fake/scripted_server.h"
#include "port/fake/world.h"

namespace infermesh::signal {
namespace {

using port::fake::ScriptedMode;
using port::fake::ScriptedServer;
using port::fake::World;

constexpr const char* kAddress = "127.0.0.1:8000";

struct Scene {
  World world;
  ScriptedServer server{world, "127.0.0.1", 8000};
  HttpProbe probe{world.loop(), {"127.0.0.1", 8000, kAddress, ""}};

  ProbeAnswer get(const std::string& path) { return world.run(probe.get(path, 2s)); }
};

TEST(HttpProbe, AsksOverOneConnection) {
  Scene scene;
  scene.server.answer("/health", 200, "fine", "Server: scripted\r\n");
  for (int i = 0; i < 3; ++i) {
    const ProbeAnswer answer = scene.get("/health");
    EXPECT_EQ(answer.failure, ProbeFailure::kNone);
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "fine");
    EXPECT_EQ(answer.server, "scripted");
  }
  EXPECT_EQ(scene.get("/other").status, 404);
  EXPECT_EQ(scene.world.network().connections_made(kAddress), 1u);
  EXPECT_EQ(scene.server.requests()[0].find("authorization"), std::string::npos);
  EXPECT_NE(scene.server.requests()[0].find("host: 127.0.0.1:8000"), std::string::npos);
}

TEST(HttpProbe, SendsTheKeyAsBearerToken) {
  Scene scene;
  HttpProbe probe(scene.world.loop(), {"127.0.0.1", 8000, kAddress, "k3y"});
  scene.world.run(probe.get("/", 1s));
  EXPECT_NE(scene.server.requests()[0].find("authorization: Bearer k3y"), std::string::npos);
}

TEST(HttpProbe, ReadsChunkedAndUnboundedBodies) {
  Scene scene;
  scene.server.answer("/chunked",
                      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                      "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_EQ(scene.get("/chunked").body, "abcde");
  EXPECT_EQ(scene.get("/chunked").body, "abcde");
  EXPECT_EQ(scene.world.network().connections_made(kAddress), 1u);
}

TEST(HttpProbe, ConnectsAgainWhenAKeptConnectionWasClosed) {
  Scene scene;
  scene.server.answer("/health", 200, "fine");
  EXPECT_EQ(scene.get("/health").status, 200);
  scene.server.stop();
  scene.server.start();
  EXPECT_EQ(scene.get("/health").status, 200);
  EXPECT_EQ(scene.world.network().connections_made(kAddress), 2u);
}

TEST(HttpProbe, KeepsNoConnectionThatTheEngineWillClose) {
  Scene scene;
  scene.server.answer("/health", 200, "fine", "connection: close\r\n");
  scene.get("/health");
  scene.get("/health");
  EXPECT_EQ(scene.world.network().connections_made(kAddress), 2u);
}

TEST(HttpProbe, TellsRefusedMissedAndBrokenApart) {
  Scene scene;
  scene.server.set_mode(ScriptedMode::kSilent);
  const ProbeAnswer missed = scene.get("/health");
  EXPECT_EQ(missed.failure, ProbeFailure::kMissed);
  EXPECT_EQ(scene.world.now(), Instant(2s));
  scene.server.set_mode(ScriptedMode::kCloseOnRequest);
  EXPECT_EQ(scene.get("/health").failure, ProbeFailure::kBroken);
  scene.server.stop();
  const ProbeAnswer refused = scene.get("/health");
  EXPECT_EQ(refused.failure, ProbeFailure::kRefused);
  EXPECT_EQ(refused.detail, "127.0.0.1:8000: connection refused");
  scene.world.network().black_hole(kAddress);
  EXPECT_EQ(scene.get("/health").failure, ProbeFailure::kMissed);
}

TEST(HttpProbe, RefusesWhatIsNotHttpOrTooLong) {
  Scene scene;
  scene.server.answer("/ssh", "SSH-2.0-OpenSSH_9.2\r\n\r\n");
  EXPECT_EQ(scene.get("/ssh").failure, ProbeFailure::kBroken);
  scene.server.answer("/long", 200, std::string(kProbeBodyMax + 1, 'x'));
  EXPECT_EQ(scene.get("/long").detail, "the answer is over 4 MiB");
  scene.server.answer("/fine", 200, std::string(kProbeBodyMax, 'x'));
  EXPECT_EQ(scene.get("/fine").body.size(), kProbeBodyMax);
}

TEST(HttpProbe, CancelEndsAGetAtOnce) {
  Scene scene;
  scene.server.set_mode(ScriptedMode::kSilent);
  std::optional<ProbeAnswer> answer;
  scene.world.spawn([](HttpProbe& probe, std::optional<ProbeAnswer>& out) -> port::Task<void> {
    out = co_await probe.get("/health", 2s);
  }(scene.probe, answer));
  scene.world.settle();
  EXPECT_FALSE(answer);
  scene.probe.cancel();
  scene.world.settle();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->failure, ProbeFailure::kCancelled);
  EXPECT_EQ(scene.world.now(), Instant{});
}

}  // namespace
}  // namespace infermesh::signal
