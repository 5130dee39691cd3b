// Meter: what the data plane counts, measures and logs, in one place. One a shard. Handles of
// metric series are resolved once per model, pool and label, so an observation is a few
// nanoseconds. Label values come from the mesh's own objects, never from what a client wrote.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "core/model/decision.h"
#include "core/model/mesh_view.h"
#include "data/shard/recent.h"
#include "data/stream/watched_stream.h"
#include "obs/access_log.h"
#include "obs/metrics.h"

namespace infermesh::data {

// What there is to say of a finished request.
struct RequestSummary {
  const DecisionRecord& record;
  const WatchedStream& client;
  const Model* model;  // null: it named none that is served
  Api api;
  bool stream;
  std::string_view method, path, model_name, engine, reason;
  std::uint64_t bytes_in, bytes_out;
  Duration intake_time;  // until routing could begin: the client's own pace
  std::optional<Tokens> prompt_tokens, cached_tokens, output_tokens;
  Tokens predicted_cached;
};

// An answer of the router's own to a request that no engine was asked for: the models, an unknown
// route, bytes that are no request.
struct OwnAnswer {
  WallTime received;
  Duration total;
  const WatchedStream& client;
  std::string_view request_id, method, path;
  std::string_view api;  // as a label
  std::uint16_t status;
  std::uint64_t bytes_out;
  std::string_view error;
};

class Meter {
 public:
  // `access_log` may be null: off.
  Meter(obs::MetricSet& metrics, obs::AccessLog* access_log);

  // Metrics and the access log line of one request.
  void finished(const RequestSummary& request, Instant now);
  void answered(const OwnAnswer& answer);
  void decided(const std::string& pool, const Decision& decision);
  void retried(OutcomeKind kind);
  void retry_refused() { retries_refused_.add(); }
  void refused(ErrorCode code);
  void shed(const std::string& pool, ErrorCode code);
  void cancelled(Api api);
  void client_stalled() { clients_stalled_.add(); }
  void stream_broken(const Model& model, ErrorCode code);
  void token_gap(const Model& model, Duration gap) { series(model, Api::kChat).itl.observe(gap); }
  void connection_accepted(std::size_t open);
  void connection_closed(std::size_t open) { connections_.set(static_cast<double>(open)); }
  void connection_refused() { connections_refused_.add(); }
  void upstream_connected() { upstream_connections_.add(); }

  std::vector<RecentFigures> figures(Instant now) const;  // one a model

 private:
  struct ModelSeries {
    obs::Histogram duration, ttft, itl, upstream;
    obs::Histogram gen_ai_duration, gen_ai_ttft, gen_ai_per_token, gen_ai_input, gen_ai_output;
    obs::Counter prompt_tokens, cached_tokens, output_tokens;
    obs::Counter prefix_predicted, prefix_served, prefix_prompt;
    std::map<std::uint16_t, obs::Counter> by_status;
    Recent* recent = nullptr;
  };
  using Models = std::map<std::pair<std::string, Api>, ModelSeries, std::less<>>;
  ModelSeries& series(const Model& model, Api api);
  ModelSeries make_series(const Model& model, Api api);
  obs::Counter& counter(obs::CounterId id, std::string_view first, std::string_view second = {},
                        std::string_view third = {});
  void count_tokens(const RequestSummary& request, ModelSeries& model);
  void measure(const RequestSummary& request, ModelSeries& model);
  void write_access_line(const RequestSummary& request);

  obs::MetricSet& metrics_;
  obs::AccessLog* access_log_;
  obs::Counter connections_accepted_, connections_refused_, upstream_connections_, clients_stalled_,
      retries_refused_;
  obs::Counter bytes_in_, bytes_out_;
  obs::Gauge connections_;
  obs::Histogram added_;
  Models models_;
  std::array<Models::value_type*, 32> looked_up_{};  // by model id and api: found last
  std::map<std::string, Recent> recent_;             // by model; as bounded as the view's models
  std::map<std::string, obs::Histogram> queues_;
  std::map<std::string, std::map<std::pair<PolicyKind, Reason>, obs::Counter>>
      decisions_;  // by pool
  std::map<std::pair<obs::CounterId, std::string>, obs::Counter> counters_;
};

}  // namespace infermesh::data
