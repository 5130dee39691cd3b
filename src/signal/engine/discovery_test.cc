#include "signal/engine/discovery.h"

#include <gtest/gtest.h>

#include <set>

#include "port/fake/scripted_server.h"
#include "port/fake/world.h"
#include "wire/engine/testdata/fixture.h"

namespace infermesh::signal {
namespace {

using engines::Fixture;
using port::fake::ScriptedServer;
using port::fake::World;

struct Scene {
  World world;
  std::vector<DiscoveredEngine> found;
  std::set<std::string> known;
  bool takes = true;
  std::unique_ptr<Discovery> discovery;

  ~Scene() {
    discovery.reset();
    world.settle();
  }
  void start() {
    discovery = std::make_unique<Discovery>(
        world.loop(), DiscoverySettings{},
        [this](const std::string& url) { return known.contains(url); },
        [this](const DiscoveredEngine& engine) {
          found.push_back(engine);
          if (takes) known.insert(engine.url);
        });
  }
  std::unique_ptr<ScriptedServer> serve(std::uint16_t port, std::string_view models) {
    auto server = std::make_unique<ScriptedServer>(world, "127.0.0.1", port);
    server->answer("/v1/models", std::string(Fixture(models).text()));
    return server;
  }
};

TEST(Discovery, NamesWhatItFindsOnTheDefaultPorts) {
  Scene scene;
  const auto vllm = scene.serve(8000, "vllm/models.http");
  const auto llamacpp = scene.serve(9931, "llama.cpp/models.http");
  const auto sglang = scene.serve(30000, "sglang/models.http");
  scene.start();
  scene.world.settle();
  ASSERT_EQ(scene.found.size(), 3u);
  EXPECT_EQ(scene.found[0].name, "vllm-8000");
  EXPECT_EQ(scene.found[0].url, "http://127.0.0.1:8000");
  EXPECT_EQ(scene.found[1].name, "llama.cpp-9931");
  EXPECT_EQ(scene.found[1].finding.runtime, Runtime::kLlamacpp);
  EXPECT_EQ(scene.found[2].finding.runtime, Runtime::kSglang);
}

TEST(Discovery, ReportsOnceAndGoesOnLooking) {
  Scene scene;
  const auto vllm = scene.serve(8000, "vllm/models.http");
  scene.start();
  scene.world.run_for(60s);
  EXPECT_EQ(scene.found.size(), 1u);
  EXPECT_EQ(vllm->asked("/v1/models"), 1u) << "a poller watches it from now on";
  const auto late = scene.serve(8080, "llama.cpp/models.http");
  scene.world.run_for(3s);
  ASSERT_EQ(scene.found.size(), 2u);
  EXPECT_EQ(scene.found[1].name, "llama.cpp-8080");
}

TEST(Discovery, ReportsAnEngineAgainOnceItIsForgotten) {
  Scene scene;
  auto vllm = scene.serve(8000, "vllm/models.http");
  scene.start();
  scene.world.settle();
  ASSERT_EQ(scene.found.size(), 1u);
  vllm.reset();
  scene.known.clear();
  scene.world.run_for(10s);
  EXPECT_EQ(scene.found.size(), 1u);
  vllm = scene.serve(8000, "vllm/models.http");
  scene.world.run_for(3s);
  EXPECT_EQ(scene.found.size(), 2u);
}

TEST(Discovery, DoesNotPressAnEngineThatIsNotWanted) {
  Scene scene;
  scene.takes = false;
  const auto vllm = scene.serve(8000, "vllm/models.http");
  scene.start();
  scene.world.run_for(59s);
  EXPECT_EQ(scene.found.size(), 2u);
}

TEST(Discovery, LeavesKnownAddressesAlone) {
  Scene scene;
  scene.known = {"http://127.0.0.1:8000"};
  const auto own = scene.serve(8000, "vllm/models.http");
  scene.start();
  scene.world.run_for(10s);
  EXPECT_TRUE(scene.found.empty());
  EXPECT_TRUE(own->requests().empty());
}

TEST(Discovery, SkipsRoutersAndOtherServersAndDoesNotHammerThem) {
  Scene scene;
  const auto router = scene.serve(8000, "vllm/models.http");
  router->answer("/metrics", 200, "vllm:healthy_pods_total 3\n");
  ScriptedServer website(scene.world, "127.0.0.1", 8080);
  scene.start();
  scene.world.run_for(59s);
  EXPECT_TRUE(scene.found.empty());
  EXPECT_EQ(website.asked("/v1/models"), 2u);
  EXPECT_EQ(router->asked("/v1/models"), 2u);
}

TEST(Discovery, IsNotHeldUpBySilentPorts) {
  Scene scene;
  scene.world.network().black_hole("127.0.0.1:8000");
  ScriptedServer silent(scene.world, "127.0.0.1", 8080);
  silent.set_mode(port::fake::ScriptedMode::kSilent);
  const auto sglang = scene.serve(30000, "sglang/models.http");
  scene.start();
  scene.world.run_for(1100ms);
  EXPECT_EQ(scene.found.size(), 1u);
}

}  // namespace
}  // namespace infermesh::signal
