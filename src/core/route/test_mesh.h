// A small mesh for tests of routing: engines e0, e1, ... of one pool with one model "m", and a load
// table.
#pragma once

#include <memory>
#include <string>

#include "core/route/in_flight.h"
#include "core/route/learn.h"
#include "core/route/pipeline.h"

namespace infermesh::route {

struct TestMesh {
  explicit TestMesh(std::size_t engines, PolicyKind policy = PolicyKind::kExpectedLatency) {
    Pool& pool = view.pools.emplace_back();
    pool.policy.policy = policy;
    Model& model = view.models.emplace_back();
    model.name = model.served_name = "m";
    model.expected_output_tokens = 100;
    view.names = {{"m", ModelId(0)}};
    for (std::size_t i = 0; i < engines; ++i) {
      Endpoint endpoint;
      endpoint.id = EndpointId(static_cast<std::uint16_t>(i));
      endpoint.name = "e" + std::to_string(i);
      endpoint.state = EndpointState::kReady;
      endpoint.models = {ServedModel{"m", "", std::nullopt}};
      pool.endpoints.push_back(endpoint.id);
      model.endpoints.push_back(endpoint.id);
      view.endpoints.emplace_back(std::move(endpoint));
    }
  }

  Endpoint& engine(std::size_t i) { return *view.endpoints[i]; }
  LoadCell& cell(std::size_t i) { return load->at(EndpointId(static_cast<std::uint16_t>(i))); }
  RoutingPolicyObject& policy() { return view.pools[0].policy; }

  Decision decide(const RequestFacts& facts, std::vector<EndpointId> tried = {}) {
    const DecideInput input{view, *load, index.get(), view.models[0], facts, tried};
    return route::decide(input, state, rng, now);
  }
  InFlight send(const Decision& decision, const RequestFacts& facts) {
    return InFlight::sent(*load, index.get(), decision, facts, now);
  }
  void learn(const Outcome& outcome, const Decision& decision) {
    route::learn(outcome, decision, *load, state, now);
  }

  MeshView view;
  std::unique_ptr<LoadTable> load = std::make_unique<LoadTable>();
  std::unique_ptr<prefix::PrefixIndex> index =
      std::make_unique<prefix::PrefixIndex>(Bytes(1 << 20));
  RouteState state;
  Rng rng{7};
  Instant now{1h};
};

// A streamed chat request of `blocks` blocks of 32 tokens; the first `shared` of them are those of
// `family`.
inline RequestFacts chat(std::int64_t tokens, std::uint64_t family = 0, std::size_t shared = 0,
                         std::uint64_t own = 0) {
  RequestFacts facts;
  facts.model = "m";
  facts.stream = true;
  facts.complete = true;
  facts.prompt_tokens = Tokens(tokens);
  for (std::size_t i = 0; i < static_cast<std::size_t>(tokens) / 32; ++i) {
    const std::uint64_t whose = i < shared ? family : own + 1000003;
    facts.blocks.push_back(Rng(whose * 7919 + i + 1).next());
  }
  return facts;
}

}  // namespace infermesh::route
