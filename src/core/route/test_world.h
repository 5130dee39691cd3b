// A world of modelled engines in virtual time for tests of policies: requests arrive as a Poisson
// process, the real decide(), InFlight and learn() route them, engines of core/engine answer. One
// seed gives one history.
//
// Besides the policies there is an oracle: it copies every engine, asks the copy when this request
// would get its first token, and adds the expected output at the engine's true step time. It knows
// the true state and speed of all engines and the true length of the prompt; it does not know the
// future.
#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/engine/engine.h"
#include "core/route/test_mesh.h"

namespace infermesh::route {

struct WorldRequest {
  Instant at{};
  engine::RequestSpec spec;
  RequestFacts facts;
};

struct WorldSettings {
  std::vector<double> speeds;
  engine::EngineProfile profile;
  Duration report_every = 500ms;
  // From `slow_at` on the time of engine `slow_engine` passes `slow_by` times as fast.
  std::optional<Instant> slow_at;
  std::size_t slow_engine = 0;
  double slow_by = 0.5;
};

struct WorldResult {
  std::vector<double> ttft;  // seconds, of requests after the warm-up, in order of arrival
  std::vector<double> tpot;
  double mean_ttft = 0, p50 = 0, p90 = 0, p99 = 0, mean_tpot = 0, mean_total = 0, hit_share = 0;
  std::map<std::size_t, int> sent;  // engine -> requests

  std::string row(std::string_view name) const;
};

class World {
 public:
  World(WorldSettings settings, std::optional<PolicyKind> policy);  // nullopt: the oracle

  WorldResult run(const std::vector<WorldRequest>& requests, std::size_t warm_up);

 private:
  struct Live {
    const WorldRequest* request = nullptr;
    Decision decision;
    InFlight in_flight;
    std::size_t engine = 0;
    Instant first{};
    Tokens cached{0};
  };

  Instant to_local(std::size_t engine, Instant world) const;
  Instant to_world(std::size_t engine, Instant local) const;
  Instant deadline_of(std::size_t engine) const {
    return to_world(engine, engines_[engine].next_deadline());
  }
  void advance_to(Instant until);
  void on_event(std::size_t engine, const engine::EngineEvent& event);
  void report_all();
  std::size_t choose(const WorldRequest& request, Decision& decision);
  std::size_t ask_oracle(const WorldRequest& request) const;
  void send(const WorldRequest& request);
  WorldResult result(std::size_t warm_up) const;

  WorldSettings settings_;
  std::optional<PolicyKind> policy_;
  TestMesh mesh_;
  std::vector<engine::Engine> engines_;
  std::map<std::uint64_t, Live> live_;                   // by request id
  std::map<std::uint64_t, std::array<double, 3>> done_;  // ttft, tpot, total by request id
  std::map<std::size_t, int> sent_;
  Instant next_report_{};
};

// Prompts as routers meet them: shared system prompts with own questions, and conversations that
// grow turn by turn.
struct Workload {
  std::uint64_t seed = 1;
  std::size_t requests = 600;
  double per_second = 10;
  std::size_t families = 24;
  double chat_share = 0.5;      // of requests that continue a conversation
  double estimate_bias = 1.15;  // the router's guess of tokens over the truth
};
std::vector<WorldRequest> make_requests(const Workload& workload, Instant start);

}  // namespace infermesh::route
