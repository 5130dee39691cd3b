#include "signal/engine/mesh_keeper.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "port/fake/scripted_server.h"
#include "port/fake/world.h"
#include "signal/engine/discovery.h"
#include "wire/engine/testdata/fixture.h"

namespace infermesh::signal {
namespace {

using engines::Fixture;
using port::fake::ScriptedServer;
using port::fake::World;

struct Told final : MeshSink {
  std::vector<MeshViewPtr> views;
  std::vector<EndpointId> lost;
  std::vector<std::pair<EndpointId, Tokens>> sizes;
  std::vector<MeshEvent> events;
  std::map<std::pair<std::string, LoadRead>, int> reads;

  void on_view(MeshViewPtr view) override { views.push_back(std::move(view)); }
  void on_cache_lost(EndpointId endpoint) override { lost.push_back(endpoint); }
  void on_cache_size(EndpointId endpoint, Tokens tokens) override {
    sizes.emplace_back(endpoint, tokens);
  }
  void on_event(const MeshEvent& event) override { events.push_back(event); }
  void on_load_read(const std::string& engine, LoadRead result) override {
    ++reads[{engine, result}];
  }
  bool has(EventKind kind, std::string_view part) const {
    for (const MeshEvent& event : events) {
      if (event.kind == kind && event.text.find(part) != std::string::npos) return true;
    }
    return false;
  }
};

EngineObject engine_object(std::string name, std::uint16_t port) {
  EngineObject object;
  object.name = std::move(name);
  object.url = "http://127.0.0.1:" + std::to_string(port);
  return object;
}

struct Scene {
  World world;
  std::vector<std::unique_ptr<ScriptedServer>> servers;
  LoadTable load;
  Told told;
  std::unique_ptr<MeshKeeper> keeper = std::make_unique<MeshKeeper>(
      world.loop(), KeeperSettings{}, load, told,
      [](const std::string& variable) { return variable == "E1_KEY" ? "s3cret" : ""; });

  ~Scene() {
    keeper.reset();
    world.settle();
  }
  ScriptedServer& serve_vllm(std::uint16_t port) {
    servers.push_back(std::make_unique<ScriptedServer>(world, "127.0.0.1", port));
    ScriptedServer& server = *servers.back();
    const auto answer = [&](const std::string& path, std::string_view fixture) {
      server.answer(path, std::string(Fixture(fixture).text()));
    };
    answer("/v1/models", "vllm/models.http");
    answer("/health", "vllm/health.http");
    answer("/version", "vllm/version.http");
    answer("/metrics", "vllm/metrics-load-waiting.http");
    return server;
  }
  // Two engines of one model, both ready.
  void two_ready() {
    serve_vllm(8001);
    serve_vllm(8002);
    keeper->start();
    ObjectSet objects;
    objects.engines = {engine_object("e1", 8001), engine_object("e2", 8002)};
    ASSERT_TRUE(keeper->set_objects(std::move(objects)));
    world.run_for(500ms);
    ASSERT_EQ(state("e1"), EndpointState::kReady);
    ASSERT_EQ(state("e2"), EndpointState::kReady);
  }
  const Endpoint* endpoint(std::string_view name) const {
    for (const auto& each : keeper->view()->endpoints) {
      if (each && each->name == name) return &*each;
    }
    return nullptr;
  }
  EndpointState state(std::string_view name) const {
    const Endpoint* found = endpoint(name);
    return found == nullptr ? EndpointState::kDown : found->state;
  }
  // Both engines have had nothing to do for so long that they are seldom looked at.
  void two_idle() {
    two_ready();
    for (const auto& server : servers) {
      server->answer("/metrics", std::string(Fixture("vllm/metrics-idle.http").text()));
    }
    world.run_for(20s);
  }
  void fail_requests(std::string_view name, OutcomeKind kind, int times) {
    Outcome outcome;
    outcome.endpoint = endpoint(name)->id;
    outcome.model = keeper->view()->find_model("tiny-llama")->id;
    outcome.model_key = name_hash("tiny-llama");
    outcome.kind = kind;
    for (int i = 0; i < times; ++i) keeper->on_outcome(outcome);
  }
};

TEST(MeshKeeper, PublishesAnEmptyViewAtOnce) {
  Scene scene;
  scene.keeper->start();
  ASSERT_EQ(scene.told.views.size(), 1u);
  EXPECT_EQ(scene.keeper->view()->generation, 1u);
  EXPECT_TRUE(scene.keeper->view()->models.empty());
}

TEST(MeshKeeper, WatchesTheEnginesOfItsObjects) {
  Scene scene;
  scene.two_ready();
  const Endpoint* engine = scene.endpoint("e1");
  EXPECT_EQ(engine->runtime, Runtime::kVllm);
  EXPECT_EQ(engine->version, "0.32.0");
  const Model* model = scene.keeper->view()->find_model("tiny-llama");
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->endpoints.size(), 2u);
  EXPECT_EQ(model->context_max, Tokens(2048));
  EXPECT_TRUE(scene.told.has(EventKind::kEngineState, "engine e1 is ready"));
}

TEST(MeshKeeper, WritesReportsIntoTheLoadTable) {
  Scene scene;
  scene.two_ready();
  scene.world.run_for(500ms);
  const LoadCell& cell = scene.load.at(scene.endpoint("e1")->id);
  EXPECT_EQ(cell.reported_running.load(), 4);
  EXPECT_EQ(cell.reported_waiting.load(), 4);
  EXPECT_GT(cell.reported_at_ns.load(), 0);
  EXPECT_FALSE(scene.told.sizes.empty()) << "the size of its KV cache is told";
}

TEST(MeshKeeper, ResetsTheCellsOfNewEndpoints) {
  Scene scene;
  scene.load.at(EndpointId(0)).in_flight = 7;
  scene.two_ready();
  EXPECT_EQ(scene.load.at(EndpointId(0)).in_flight.load(), 0);
  ASSERT_GE(scene.told.lost.size(), 2u);
  EXPECT_EQ(scene.told.lost[0], EndpointId(0));
}

// Requests wait for it, or are refused.
TEST(MeshKeeper, PublishesTheFirstReadyEngineWithoutAGap) {
  Scene scene;
  scene.serve_vllm(8001);
  scene.keeper->start();
  ObjectSet objects;
  objects.engines = {engine_object("e1", 8001)};
  ASSERT_TRUE(scene.keeper->set_objects(std::move(objects)));
  scene.world.run_for(1ms);
  EXPECT_EQ(scene.state("e1"), EndpointState::kReady);
}

TEST(MeshKeeper, GathersChangesIntoFewViews) {
  Scene scene;
  scene.keeper->start();
  ObjectSet objects;
  for (std::uint16_t i = 0; i < 20; ++i) {
    scene.serve_vllm(static_cast<std::uint16_t>(8001 + i));
    objects.engines.push_back(
        engine_object("e" + std::to_string(i), static_cast<std::uint16_t>(8001 + i)));
  }
  ASSERT_TRUE(scene.keeper->set_objects(std::move(objects)));
  scene.world.run_for(1s);
  EXPECT_EQ(scene.state("e19"), EndpointState::kReady);
  EXPECT_LE(scene.told.views.size(), 5u);
  const std::size_t before = scene.told.views.size();
  scene.world.run_for(3s);
  EXPECT_EQ(scene.told.views.size(), before) << "load is not in the view";
}

TEST(MeshKeeper, ChangesThatFollowEachOtherShareAView) {
  Scene scene;
  scene.two_ready();
  const std::size_t before = scene.told.views.size();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(scene.keeper->drain("e1"), DrainResult::kChanged);
    scene.world.run_for(1ms);
    EXPECT_EQ(scene.keeper->undrain("e1"), DrainResult::kChanged);
    scene.world.run_for(1ms);
  }
  EXPECT_EQ(scene.keeper->drain("e2"), DrainResult::kChanged);
  scene.world.run_for(30ms);
  EXPECT_EQ(scene.state("e1"), EndpointState::kReady);
  EXPECT_EQ(scene.state("e2"), EndpointState::kDraining);
  EXPECT_LE(scene.told.views.size() - before, 2u);
}

TEST(MeshKeeper, RefusesBadObjectsWholeAndKeepsTheOnesBefore) {
  Scene scene;
  scene.two_ready();
  ObjectSet objects;
  objects.engines = {engine_object("e1", 8001)};
  objects.models.push_back({});
  objects.models[0].name = "m";
  objects.models[0].pool = "no-such-pool";
  const auto refused = scene.keeper->set_objects(std::move(objects));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidConfig);
  scene.world.run_for(1s);
  EXPECT_EQ(scene.state("e2"), EndpointState::kReady);
  EXPECT_TRUE(scene.told.has(EventKind::kObjectsRefused, "no-such-pool"));
}

TEST(MeshKeeper, ChangesObjectsWithoutDisturbingTheEnginesThatStay) {
  Scene scene;
  scene.two_ready();
  const EndpointId id = scene.endpoint("e1")->id;
  ObjectSet objects;
  objects.engines = {engine_object("e1", 8001)};
  objects.engines[0].weight = 50;
  ASSERT_TRUE(scene.keeper->set_objects(std::move(objects)));
  scene.world.run_for(30ms);
  EXPECT_EQ(scene.state("e1"), EndpointState::kReady);
  EXPECT_EQ(scene.endpoint("e1")->weight, 50u);
  EXPECT_EQ(scene.endpoint("e1")->id, id);
  EXPECT_EQ(scene.endpoint("e2"), nullptr);
  scene.world.run_for(5s);
  EXPECT_EQ(scene.world.network().connections_made("127.0.0.1:8001"), 1u);
  EXPECT_EQ(scene.world.network().connections_open("127.0.0.1:8002"), 0u);
}

TEST(MeshKeeper, KeepsWhatItKnowsOfAnAddressThatGetsAnotherName) {
  Scene scene;
  scene.serve_vllm(8001);
  scene.keeper->start();
  ASSERT_TRUE(scene.keeper->add_engine("vllm-8001", "http://127.0.0.1:8001"));
  EXPECT_TRUE(scene.keeper->knows("http://localhost:8001"));
  EXPECT_EQ(scene.keeper->add_engine("other", "http://localhost:8001").error().code,
            ErrorCode::kConflict);
  scene.world.run_for(500ms);
  ASSERT_EQ(scene.state("vllm-8001"), EndpointState::kReady);
  ObjectSet objects;
  objects.engines = {engine_object("mine", 8001)};
  objects.engines[0].url = "http://localhost:8001";
  ASSERT_TRUE(scene.keeper->set_objects(std::move(objects)));
  scene.world.run_for(20ms);
  EXPECT_EQ(scene.state("mine"), EndpointState::kReady);
  EXPECT_EQ(scene.endpoint("vllm-8001"), nullptr);
  EXPECT_NE(scene.keeper->view()->find_model("tiny-llama"), nullptr);
}

TEST(MeshKeeper, NoticesAKilledEngineAndItsReturn) {
  Scene scene;
  scene.two_ready();
  const EndpointId id = scene.endpoint("e1")->id;
  scene.servers[0]->stop();
  scene.fail_requests("e1", OutcomeKind::kConnectFailed, 1);
  scene.world.run_for(1500ms);
  EXPECT_EQ(scene.state("e1"), EndpointState::kDown);
  EXPECT_NE(scene.endpoint("e1")->state_reason.find("connection refused"), std::string::npos);
  const auto lost = scene.told.lost.size();
  scene.servers[0]->start();
  scene.world.run_for(4s);
  EXPECT_EQ(scene.state("e1"), EndpointState::kReady);
  ASSERT_GT(scene.told.lost.size(), lost);
  EXPECT_EQ(scene.told.lost.back(), id);
}

TEST(MeshKeeper, TakesAReturningEngineBackQuickly) {
  Scene scene;
  scene.two_ready();
  scene.servers[0]->stop();
  scene.world.run_for(5s);
  ASSERT_EQ(scene.state("e1"), EndpointState::kDown);
  scene.servers[0]->start();
  scene.world.run_for(1500ms);
  EXPECT_EQ(scene.state("e1"), EndpointState::kReady);
}

TEST(MeshKeeper, LooksAtAnIdleEngineAsSoonAsARequestGetsNoAnswer) {
  Scene scene;
  scene.two_idle();
  const std::size_t before = scene.servers[0]->asked("/metrics");
  const std::size_t other = scene.servers[1]->asked("/metrics");
  scene.fail_requests("e1", OutcomeKind::kReset, 1);
  scene.world.run_for(10ms);
  EXPECT_EQ(scene.servers[0]->asked("/metrics"), before + 1);
  EXPECT_EQ(scene.servers[1]->asked("/metrics"), other);
}

TEST(MeshKeeper, RequestsWithoutAnAnswerMakeAnEngineSuspectWhateverItsProbesSay) {
  Scene scene;
  scene.two_idle();
  scene.fail_requests("e1", OutcomeKind::kTimeout, 3);
  scene.world.run_for(30ms);
  EXPECT_EQ(scene.state("e1"), EndpointState::kSuspect);
  EXPECT_EQ(scene.state("e2"), EndpointState::kReady);
  EXPECT_TRUE(scene.told.has(EventKind::kEngineState, "engine e1 is suspect"));
}

TEST(MeshKeeper, LooksAtAnIdleEngineAsSoonAsItGetsRequests) {
  Scene scene;
  scene.two_idle();
  const std::size_t idle = scene.servers[0]->asked("/metrics");
  scene.world.run_for(10s);
  EXPECT_LE(scene.servers[0]->asked("/metrics") - idle, 7u);
  const std::size_t before = scene.servers[0]->asked("/metrics");
  const std::size_t other = scene.servers[1]->asked("/metrics");
  scene.load.at(scene.endpoint("e1")->id).in_flight = 3;
  scene.world.run_for(2s);
  EXPECT_GE(scene.servers[0]->asked("/metrics") - before, 6u);
  EXPECT_LE(scene.servers[0]->asked("/metrics") - before, 14u) << "what was just seen is fresh";
  EXPECT_LE(scene.servers[1]->asked("/metrics") - other, 2u);
}

TEST(MeshKeeper, ForgetsTheCacheOfARestartedEngine) {
  Scene scene;
  scene.two_ready();
  const auto lost = scene.told.lost.size();
  scene.servers[0]->answer("/metrics", 200,
                           "vllm:num_requests_running 0\nvllm:prompt_tokens_total 1\n");
  scene.world.run_for(1s);
  EXPECT_EQ(scene.told.lost.size(), lost + 1);
  EXPECT_TRUE(scene.told.has(EventKind::kEngineRestarted, "engine e1"));
}

TEST(MeshKeeper, EjectsAFailingEngineForItsModelAndTakesItBack) {
  Scene scene;
  scene.two_ready();
  scene.fail_requests("e1", OutcomeKind::kEngineError, 5);
  scene.world.run_for(100ms);
  const ModelId model = scene.keeper->view()->find_model("tiny-llama")->id;
  const Ejection* ejection = scene.keeper->view()->find_ejection(scene.endpoint("e1")->id, model);
  ASSERT_NE(ejection, nullptr);
  EXPECT_FALSE(ejection->half_open);
  EXPECT_EQ(scene.keeper->view()->find_ejection(scene.endpoint("e2")->id, model), nullptr);
  scene.world.run_for(2s);
  ejection = scene.keeper->view()->find_ejection(scene.endpoint("e1")->id, model);
  ASSERT_NE(ejection, nullptr);
  EXPECT_TRUE(ejection->half_open);
  Outcome trial;
  trial.endpoint = scene.endpoint("e1")->id;
  trial.model = model;
  trial.model_key = name_hash("tiny-llama");
  trial.trial = true;
  scene.keeper->on_outcome(trial);
  scene.world.run_for(100ms);
  EXPECT_TRUE(scene.keeper->view()->ejections.empty());
}

TEST(MeshKeeper, IgnoresOutcomesOfEnginesThatHaveGone) {
  Scene scene;
  scene.two_ready();
  Outcome outcome;
  outcome.endpoint = EndpointId(99);
  outcome.kind = OutcomeKind::kReset;
  scene.keeper->on_outcome(outcome);
  scene.world.run_for(100ms);
  EXPECT_TRUE(scene.keeper->view()->ejections.empty());
}

TEST(MeshKeeper, DrainsByNameOverTheObjects) {
  Scene scene;
  scene.two_ready();
  EXPECT_EQ(scene.keeper->drain("e1"), DrainResult::kChanged);
  EXPECT_EQ(scene.keeper->drain("e1"), DrainResult::kAlready);
  scene.world.run_for(30ms);
  EXPECT_EQ(scene.state("e1"), EndpointState::kDraining);
  ObjectSet objects;
  objects.engines = {engine_object("e1", 8001), engine_object("e2", 8002)};
  objects.engines[0].weight = 70;
  ASSERT_TRUE(scene.keeper->set_objects(std::move(objects)));
  scene.world.run_for(2s);
  EXPECT_EQ(scene.state("e1"), EndpointState::kDraining) << "a reload does not undo the verb";
  EXPECT_EQ(scene.keeper->undrain("e1"), DrainResult::kChanged);
  scene.world.run_for(30ms);
  EXPECT_EQ(scene.state("e1"), EndpointState::kReady);
  const auto unknown = scene.keeper->drain("e3");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::kNotFound);
  EXPECT_NE(unknown.error().detail.find("nearest: e1"), std::string::npos);
}

TEST(MeshKeeper, SendsTheKeyOfItsObject) {
  Scene scene;
  ScriptedServer& server = scene.serve_vllm(8001);
  scene.keeper->start();
  ObjectSet objects;
  objects.engines = {engine_object("e1", 8001)};
  objects.engines[0].api_key_env = "E1_KEY";
  ASSERT_TRUE(scene.keeper->set_objects(std::move(objects)));
  scene.world.run_for(100ms);
  ASSERT_FALSE(server.requests().empty());
  EXPECT_NE(server.requests()[0].find("Bearer s3cret"), std::string::npos);
  EXPECT_EQ(scene.endpoint("e1")->api_key, "s3cret");
}

TEST(MeshKeeper, TellsEachLookAtALoadAndHowItEnded) {
  Scene scene;
  scene.two_ready();
  const int ok = scene.told.reads[{"e1", LoadRead::kOk}];
  EXPECT_GE(ok, 1);
  EXPECT_EQ(scene.told.reads.count({"e1", LoadRead::kFailed}), 0U);
  scene.servers.front().reset();
  scene.world.run_for(10s);
  EXPECT_EQ((scene.told.reads[{"e1", LoadRead::kOk}]), ok);
  EXPECT_GE((scene.told.reads[{"e1", LoadRead::kFailed}]), 3);
}

TEST(MeshKeeper, TakesWhatDiscoveryFindsAndNothingTwice) {
  Scene scene;
  scene.serve_vllm(8000);
  scene.serve_vllm(8080);
  scene.keeper->start();
  ASSERT_TRUE(scene.keeper->add_engine("mine", "http://localhost:8080"));
  Discovery discovery(
      scene.world.loop(), DiscoverySettings{},
      [&](const std::string& url) { return scene.keeper->knows(url); },
      [&](const DiscoveredEngine& engine) {
        EXPECT_TRUE(scene.keeper->add_engine(engine.name, engine.url, engine.finding.runtime));
      });
  scene.world.run_for(5s);
  EXPECT_EQ(scene.state("vllm-8000"), EndpointState::kReady);
  EXPECT_EQ(scene.state("mine"), EndpointState::kReady);
  const Model* model = scene.keeper->view()->find_model("tiny-llama");
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->endpoints.size(), 2u);
}

TEST(MeshKeeper, ForgetsADiscoveredEngineThatHasGoneAndTakesItBack) {
  Scene scene;
  scene.serve_vllm(8000);
  scene.serve_vllm(8080);
  scene.keeper->start();
  ASSERT_TRUE(scene.keeper->add_engine("mine", "http://127.0.0.1:8080"));
  Discovery discovery(
      scene.world.loop(), DiscoverySettings{},
      [&](const std::string& url) { return scene.keeper->knows(url); },
      [&](const DiscoveredEngine& engine) {
        EXPECT_TRUE(scene.keeper->add_engine(engine.name, engine.url, engine.finding.runtime,
                                             Origin::kDiscovered));
      });
  scene.world.run_for(5s);
  ASSERT_EQ(scene.state("vllm-8000"), EndpointState::kReady);
  scene.servers.clear();
  scene.world.run_for(4min);
  ASSERT_NE(scene.endpoint("vllm-8000"), nullptr) << "a restart takes minutes";
  EXPECT_EQ(scene.state("vllm-8000"), EndpointState::kDown);
  scene.world.run_for(2min);
  EXPECT_EQ(scene.endpoint("vllm-8000"), nullptr);
  EXPECT_TRUE(scene.told.has(EventKind::kNote, "vllm-8000 is forgotten until it is found again"));
  ASSERT_NE(scene.endpoint("mine"), nullptr) << "an engine that is named stays";
  scene.serve_vllm(8000);
  scene.world.run_for(5s);
  EXPECT_EQ(scene.state("vllm-8000"), EndpointState::kReady);
}

TEST(MeshKeeper, RefusesEnginesThatCannotBe) {
  Scene scene;
  scene.keeper->start();
  EXPECT_EQ(scene.keeper->add_engine("x", "ftp://h:1").error().code, ErrorCode::kInvalidConfig);
  ASSERT_TRUE(scene.keeper->add_engine("x", "http://127.0.0.1:1"));
  EXPECT_EQ(scene.keeper->add_engine("x", "http://127.0.0.1:2").error().code, ErrorCode::kConflict);
}

TEST(MeshEvents, KeepsTheLatest) {
  MeshEvents events;
  for (std::size_t i = 0; i < MeshEvents::kKeptMax + 5; ++i) {
    events.add({{}, EventKind::kNote, "", std::to_string(i)});
  }
  EXPECT_EQ(events.all().size(), MeshEvents::kKeptMax);
  EXPECT_EQ(events.all().front().text, "5");
}

}  // namespace
}  // namespace infermesh::signal
