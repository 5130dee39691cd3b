// Shard: what the exchanges of one event loop share. Everything in it is used on that loop only,
// but for what it borrows: the LoadTable and the PrefixIndex are shared with the other shards by
// design, the MeshView is replaced whole.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/rng.h"
#include "config/settings.gen.h"
#include "core/health/retry.h"
#include "core/model/decision.h"
#include "core/model/load_table.h"
#include "core/model/mesh_view.h"
#include "core/prefix/prefix_index.h"
#include "core/prefix/response_homes.h"
#include "core/route/route_state.h"
#include "data/http2/upstream.h"
#include "data/shard/admission.h"
#include "data/shard/decision_ring.h"
#include "data/shard/meter.h"
#include "data/shard/trouble.h"
#include "data/stream/upstream_pool.h"
#include "obs/log.h"
#include "obs/span_queue.h"
#include "port/loop.h"

namespace infermesh::data {

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
    obs::SpanQueue* spans;  // null: requests are not traced
    std::function<void(const Outcome&)>
        report;  // to the signal loop; called for what its health machines must know
    prefix::ResponseHomes& homes;
  };
  explicit Shard(Borrowed borrowed);

  void set_view(MeshViewPtr published);
  void report_outcome(const Outcome& outcome);
  health::RetryBudget& retry_budget(const Pool& pool);

  port::Loop& loop;
  const config::Settings& settings;
  LoadTable& loads;
  prefix::PrefixIndex& prefixes;
  prefix::ResponseHomes& homes;
  obs::Log& log;
  obs::SpanQueue* spans;  // null: requests are not traced
  Meter meter;
  MeshViewPtr view;                            // never null
  std::vector<std::string> session_body_keys;  // of all policies of the view
  Rng rng;
  route::RouteState route_state;
  UpstreamPool upstream;
  Admission admission;
  DecisionRing decisions;
  std::vector<char> scratch;  // for one read at a time, never across a wait
  std::string batch;          // for what is sent on of it, likewise
  Http2Upstreams http2_upstream;
  bool draining = false;  // requests are finished, connections end
  Instant drain_began{};
  Duration drain_idle{0};  // how long connections without a request stay in a drain

 private:
  std::function<void(const Outcome&)> report_;
  struct NamedBudget {
    double share;
    health::RetryBudget budget;
  };
  std::map<std::string, NamedBudget> retry_budgets_;  // by pool
  Trouble<EndpointId> endpoint_trouble_;
  Trouble<std::uint64_t> model_trouble_;  // by model_key
};

}  // namespace infermesh::data
