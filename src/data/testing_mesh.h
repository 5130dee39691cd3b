// TestMesh: a shard on a simulated world with engines e0, e1, ... of one pool "p" that serve model
// "m", and what tests of the data plane say to them. When it ends it holds that nothing is left in
// flight, waiting or connected, however the requests of the test ended.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "data/shard.h"
#include "data/testing_client.h"
#include "data/testing_engine.h"

namespace infermesh::data {

inline std::string post(std::string_view path, std::string_view body, std::string_view head = "") {
  return fmt::format("POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n{}\r\n{}", path,
                     body.size(), head, body);
}
inline std::string chat(std::string_view body, std::string_view head = "") {
  return post("/v1/chat/completions", body, head);
}
inline std::string json_answer(std::string_view body, int status = 200,
                               std::string_view head = "") {
  return fmt::format(
      "HTTP/1.1 {} X\r\ncontent-type: application/json\r\n{}content-length: {}\r\n\r\n{}", status,
      head, body.size(), body);
}
inline std::string chunk(std::string_view text) {
  return fmt::format("{:x}\r\n{}\r\n", text.size(), text);
}
inline const std::string kSseHead =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
inline const std::string kDone = "data: [DONE]\n\n";
inline const std::string kLastChunkText = "0\r\n\r\n";
inline std::string delta(std::string_view text, std::string_view model = "m") {
  return fmt::format(
      R"(data: {{"model":"{}","choices":[{{"index":0,"delta":{{"content":"{}"}}}}]}})"
      "\n\n",
      model, text);
}
inline std::string sse_answer(const std::vector<std::string>& events) {
  std::string text = kSseHead;
  for (const std::string& event : events) text += chunk(event);
  return text + kLastChunkText;
}
inline const std::string kPlainBody =
    R"({"model":"m","messages":[{"role":"user","content":"hi"}]})";
inline const std::string kStreamBody =
    R"({"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]})";
inline const std::string kPlainAnswer =
    R"({"model":"m","choices":[{"message":{"content":"yes"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}})";

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
    world.spawn(shard.serve(std::move(world.network().listen("127.0.0.1", 6400).value())));
    world.settle();
  }
  ~TestMesh() {
    world.run_for(2s);
    expect_nothing_in_flight();
    bool drained = false;
    shard.drain(world.now(), [&] { drained = true; });
    world.run_for(2h);
    EXPECT_TRUE(drained);
    for (auto& engine : engines) {
      EXPECT_EQ(world.network().connections_open(engine->address()), 0u) << engine->port;
    }
  }

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

  void expect_nothing_in_flight() {
    for (std::size_t i = 0; i < engines.size(); ++i) {
      EXPECT_EQ(cell(i).in_flight.load(), 0) << i;
      EXPECT_EQ(cell(i).prefill_tokens_ahead.load(), 0) << i;
      EXPECT_EQ(cell(i).decode_tokens_ahead.load(), 0) << i;
      EXPECT_EQ(cell(i).streams.load(), 0) << i;
    }
    EXPECT_EQ(shard.admission.waiting(PoolId(0)), 0u);
  }

  port::fake::World world;
  config::Settings settings;
  std::unique_ptr<LoadTable> loads = std::make_unique<LoadTable>();
  prefix::PrefixIndex prefixes{Bytes(1 << 20)};
  obs::Metrics metrics{1};
  obs::Log log{-1, obs::LogLevel::kError, obs::LogFormat::kText};
  std::vector<Outcome> outcomes;  // as reported to the health machines
  std::vector<std::unique_ptr<TestEngine>> engines;
  MeshView view;
  Shard shard{{world.loop(), settings, *loads, prefixes, metrics.set(0), nullptr, log,
               [this](const Outcome& outcome) { outcomes.push_back(outcome); }}};

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
