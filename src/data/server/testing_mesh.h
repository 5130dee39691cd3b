// TestMesh: a shard on a simulated world with engines e0, e1, ... of one pool "p" that serve model
// "m", and what tests of the data plane say to them. When it ends it holds that nothing is left in
// flight, waiting or connected, however the requests of the test ended.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "data/server/server.h"
#include "data/server/testing_client.h"
#include "data/server/testing_engine.h"
#include "data/server/testing_texts.h"

namespace infermesh::data {

class TestMesh {
 public:
  explicit TestMesh(std::size_t count = 1, const config::Settings& given = {}) : settings(given) {
    Pool& pool = view.pools.emplace_back();
    pool.spec.name = "p";
    pool.policy.policy = PolicyKind::kLeastRequest;  // ties by id: e0 first
    Model& model = view.models.emplace_back();
    model.name = model.served_name = "m";
    view.names = {{"m", ModelId(0)}};
    for (std::size_t i = 0; i < count; ++i) add_engine(static_cast<std::uint16_t>(i));
    publish();
    world.spawn(server.serve(std::move(world.network().listen("127.0.0.1", 6400).value())));
    world.settle();
  }
  ~TestMesh();

  void publish() { shard.set_view(std::make_shared<const MeshView>(view)); }
  Endpoint& endpoint(std::size_t i) { return *view.endpoints[i]; }
  PoolObject& pool() { return view.pools[0].spec; }
  TestEngine& engine(std::size_t i = 0) { return *engines[i]; }
  LoadCell& cell(std::size_t i = 0) { return loads->at(EndpointId(static_cast<std::uint16_t>(i))); }
  TestClient connect() { return TestClient(world); }
  TestAnswer ask(std::string_view request, Duration limit = 60s) {
    TestClient client = connect();
    client.send(request);
    return client.answer(limit);
  }
  // The models of the mesh: `served` is what the engines call the second one.
  void add_model(const std::string& name, const std::string& served) {
    Model& model = view.models.emplace_back(view.models.front());
    model.id = ModelId(1);
    model.name = name;
    model.served_name = served;
    view.names = {{"m", ModelId(0)}, {name, ModelId(1)}};
    publish();
  }
  std::string metrics_text() const { return metrics.expose(); }
  bool counted(std::string_view line) const {
    return metrics.expose().find(line) != std::string::npos;
  }

  void expect_nothing_in_flight();

  port::fake::World world;
  config::Settings settings;
  std::unique_ptr<LoadTable> loads = std::make_unique<LoadTable>();
  std::unique_ptr<prefix::ResponseHomes> homes = std::make_unique<prefix::ResponseHomes>();
  prefix::PrefixIndex prefixes{Bytes(1 << 20)};
  obs::Metrics metrics{1};
  obs::Log log{-1, obs::LogLevel::kError, obs::LogFormat::kText};
  std::vector<Outcome> outcomes;  // as reported to the health machines
  std::vector<std::unique_ptr<TestEngine>> engines;
  obs::SpanQueue spans{100};  // a test that wants spans sets shard.spans
  MeshView view;
  Shard shard{{world.loop(), settings, *loads, prefixes, metrics.set(0), nullptr, log, nullptr,
               [this](const Outcome& outcome) { outcomes.push_back(outcome); }, *homes}};
  std::atomic<std::size_t> connections_open{0};
  Server server{shard, connections_open};

 private:
  void add_engine(std::uint16_t number) {
    engines.push_back(std::make_unique<TestEngine>(world, number));
    Endpoint endpoint;
    endpoint.id = EndpointId(number);
    endpoint.name = fmt::format("e{}", number);
    endpoint.host = "127.0.0.1";
    endpoint.port = engines.back()->port;
    endpoint.authority = engines.back()->address();
    endpoint.state = EndpointState::kReady;
    endpoint.models = {ServedModel{"m", "", std::nullopt}};
    view.pools[0].endpoints.push_back(endpoint.id);
    view.models[0].endpoints.push_back(endpoint.id);
    view.endpoints.emplace_back(std::move(endpoint));
  }
};

}  // namespace infermesh::data
