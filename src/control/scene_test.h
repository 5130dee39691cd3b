// A small mesh for tests: five engines in every state, two models, an ejection, figures of every
// kind.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "control/admin_json.h"

namespace infermesh::control {

struct Scene {
  Instant now{1'000s};
  MeshView view;
  std::unique_ptr<LoadTable> load = std::make_unique<LoadTable>();
  std::vector<ModelFigures> figures;
  std::vector<std::uint32_t> queued{3, 0};

  MeshMoment moment() const { return {view, *load, now, figures, queued}; }
};

inline Endpoint& add_engine(Scene& scene, std::string name, Runtime runtime, EndpointState state,
                            Duration age) {
  const EndpointId id(static_cast<std::uint16_t>(scene.view.endpoints.size()));
  Endpoint engine;
  engine.id = id;
  engine.name = std::move(name);
  engine.host = "10.0.0." + std::to_string(id.value + 1);
  engine.port = 8000;
  engine.authority = engine.host + ":8000";
  engine.runtime = runtime;
  engine.apis = {Api::kChat, Api::kCompletions};
  engine.state = state;
  engine.state_since = scene.now - age;
  engine.api_key = "sk-never-shown";
  scene.view.endpoints.push_back(std::move(engine));
  return *scene.view.endpoints.back();
}

inline void set_load(Scene& scene, EndpointId id, int running, int waiting, double kv_used) {
  EngineReport report;
  report.running = static_cast<std::uint32_t>(running);
  report.waiting = static_cast<std::uint32_t>(waiting);
  report.kv_used = kv_used;
  report.read_at = scene.now - 80ms;
  scene.load->report(id, report);
  LoadCell& cell = scene.load->at(id);
  cell.in_flight = running + waiting;
  cell.streams = running;
  cell.prefill_tokens_ahead = 512 * waiting;
  cell.prefill_tokens_per_second = 10'240.5;
  cell.seconds_per_token = 0.0182;
  cell.overhead_seconds = 0.004;
  cell.rates_at_ns = (scene.now - 2s).time_since_epoch().count();
  cell.requests = 1'204;
  cell.failures = 3;
}

inline void add_model(Scene& scene, std::string name, PoolId pool,
                      std::vector<EndpointId> engines) {
  Model model;
  model.id = ModelId(static_cast<std::uint32_t>(scene.view.models.size()));
  model.name = name;
  model.served_name = name;
  model.pool = pool;
  model.endpoints = engines;
  scene.view.names.emplace_back(name, model.id);
  scene.view.models.push_back(model);
  for (EndpointId id : engines) scene.view.endpoints[id.value]->models.push_back({name, "", {}});
}

inline void add_pool(Scene& scene, std::string name, PolicyKind policy,
                     std::vector<EndpointId> engines) {
  Pool pool;
  pool.id = PoolId(static_cast<std::uint16_t>(scene.view.pools.size()));
  pool.spec.name = std::move(name);
  pool.policy.policy = policy;
  pool.endpoints = std::move(engines);
  scene.view.pools.push_back(std::move(pool));
}

inline Scene make_scene() {
  Scene scene;
  scene.view.generation = 14;
  add_engine(scene, "e1", Runtime::kVllm, EndpointState::kReady, 42min).version = "0.32.1";
  add_engine(scene, "e2", Runtime::kVllm, EndpointState::kReady, 42min).version = "0.32.1";
  add_engine(scene, "e3", Runtime::kSglang, EndpointState::kSuspect, 5s).state_reason =
      "the last probe timed out";
  add_engine(scene, "e4", Runtime::kLlamacpp, EndpointState::kDraining, 1min).state_reason =
      "asked by an operator";
  add_engine(scene, "e5", Runtime::kVllm, EndpointState::kDown, 12s).state_reason =
      "connection refused";
  set_load(scene, EndpointId(0), 24, 1, 0.58);
  set_load(scene, EndpointId(1), 37, 2, 0.41);
  const EndpointId e1(0), e2(1), e3(2), e4(3), e5(4);
  add_pool(scene, "chat", PolicyKind::kExpectedLatency, {e1, e2, e3, e5});
  add_pool(scene, "embed", PolicyKind::kRoundRobin, {e4});
  add_model(scene, "qwen3-14b", PoolId(0), {e1, e2, e3, e5});
  add_model(scene, "smollm2-135m", PoolId(1), {e4});
  scene.view.names.insert(scene.view.names.begin(), {"qwen", ModelId(0)});
  scene.view.ejections.push_back(
      {EndpointId(1), ModelId(0), scene.now + 8s, false, "5 failures in a row", scene.now - 3s});
  scene.figures = {{0.7134, 0.21, 1.4, 8120.4}};
  return scene;
}

inline ProcessFacts make_process(const Scene& scene) {
  ProcessFacts process;
  process.version = "0.1.0";
  process.inference_listeners = {"127.0.0.1:6400"};
  process.admin_listeners = {"127.0.0.1:6401"};
  process.objects_path = "/etc/infermesh/objects";
  process.shards = 2;
  process.started = scene.now - 2h;
  process.view_since = scene.now - 3s;
  process.wall_now = WallTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 24) + 9h);
  return process;
}

}  // namespace infermesh::control
