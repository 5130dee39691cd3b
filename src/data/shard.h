// Shard: what the exchanges of one event loop share. Everything in it is used on that loop only,
// but for what it borrows: the LoadTable and the PrefixIndex are shared with the other shards by
// design, the MeshView is replaced whole.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/rng.h"
#include "config/settings.gen.h"
#include "core/health/retry.h"
#include "core/model/decision.h"
#include "core/model/load_table.h"
#include "core/model/mesh_view.h"
#include "core/prefix/prefix_index.h"
#include "core/route/route_state.h"
#include "data/admission.h"
#include "data/decision_ring.h"
#include "data/meter.h"
#include "data/upstream_pool.h"
#include "data/waiter.h"
#include "obs/log.h"
#include "port/loop.h"

namespace infermesh::data {

class Shard;

// The open connections of a shard, so that a drain can end the idle ones and, in the end, all.
class LiveConnection {
 public:
  LiveConnection(std::vector<LiveConnection*>& all, Waiter& waiter);
  ~LiveConnection();
  LiveConnection(const LiveConnection&) = delete;
  LiveConnection& operator=(const LiveConnection&) = delete;

  void stop() { waiter_.stop(); }
  void look_up() { waiter_.wake.set(); }  // an idle one sees that the shard drains
  bool idle = true;                       // between requests

 private:
  std::vector<LiveConnection*>& all_;
  std::size_t index_;
  Waiter& waiter_;
};

class Shard {
 public:
  struct Borrowed {
    port::Loop& loop;
    const config::Settings& settings;
    LoadTable& loads;
    prefix::PrefixIndex& prefixes;
    obs::MetricSet& metrics;
    obs::AccessLog* access_log;  // null: off
    obs::Log& log;
    std::function<void(const Outcome&)>
        report;  // to the signal loop; called for what its health machines must know
    std::atomic<std::size_t>* connections_open =
        nullptr;  // of all shards together; null: of this one
  };
  explicit Shard(Borrowed borrowed);

  void set_view(MeshViewPtr published);
  port::Task<void> serve(std::unique_ptr<port::Listener> listener);  // until the drain
  // Takes no more connections, ends idle ones, lets requests finish until `deadline`, then stops
  // them. `done` is called once, when the last connection has ended.
  void drain(Instant deadline, std::function<void()> done);
  void report_outcome(const Outcome& outcome);
  health::RetryBudget& retry_budget(const Pool& pool);

  port::Loop& loop;
  const config::Settings& settings;
  LoadTable& loads;
  prefix::PrefixIndex& prefixes;
  obs::Log& log;
  Meter meter;
  MeshViewPtr view;  // never null
  Rng rng;
  route::RouteState route_state;
  UpstreamPool upstream;
  Admission admission;
  DecisionRing decisions;
  std::vector<char> scratch;  // for one read at a time, never across a wait
  std::vector<LiveConnection*> connections;
  bool draining = false;

 private:
  void check_drained();
  port::Task<void> serve_one(port::StreamPtr stream);

  std::function<void(const Outcome&)> report_;
  std::unordered_map<PoolId, health::RetryBudget> retry_budgets_;
  std::unordered_map<EndpointId, Instant>
      troubled_;  // endpoints whose successes the health machines must see, until when
  std::atomic<std::size_t> own_open_{0};
  std::atomic<std::size_t>& open_;  // connections that count against connections_max
  std::unique_ptr<port::Listener> listener_;
  std::function<void()> drained_;
  port::Timer drain_end_;
};

}  // namespace infermesh::data
