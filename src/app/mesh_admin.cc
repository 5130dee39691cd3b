// The admin API of a running mesh: each route reads values that the planes published and writes
// them as control does.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <map>

#include "app/mesh.h"
#include "app/version.h"
#include "base/text.h"
#include "core/route/pipeline.h"
#include "wire/openai/facts.h"

namespace infermesh::app {
namespace {

using control::AdminReply;
using control::AdminRequest;

constexpr std::size_t kRecentDecisionsMax = 100;

AdminReply json_reply(std::string body, int status = 200) {
  return {status, "application/json", std::move(body), {}};
}

AdminReply not_found(std::string detail, std::string_view next) {
  return control::problem_reply({ErrorCode::kNotFound, std::move(detail), {}}, next);
}

AdminReply no_such_engine(const MeshView& view, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& endpoint : view.endpoints) {
    if (endpoint) names.push_back(endpoint->name);
  }
  const auto near = nearest(name, names, 3);
  return not_found(near.empty() ? fmt::format("There is no engine \"{}\".", name)
                                : fmt::format("There is no engine \"{}\"; nearest: {}.", name,
                                              fmt::join(near, ", ")),
                   "infermesh engines lists all");
}

control::ModelFigures summary_of(data::RecentFigures& recent) {
  control::ModelFigures figures;
  if (recent.prompt_tokens > 0) {
    figures.prefix_hit_ratio =
        static_cast<double>(recent.cached_tokens) / static_cast<double>(recent.prompt_tokens);
  }
  figures.output_tokens_per_second = recent.output_tokens_per_second;
  std::vector<double>& ttfts = recent.ttft_seconds;
  if (ttfts.empty()) return figures;
  std::sort(ttfts.begin(), ttfts.end());
  figures.ttft_p50_seconds = ttfts[(ttfts.size() - 1) / 2];
  figures.ttft_p99_seconds = ttfts[(ttfts.size() - 1) * 99 / 100];
  return figures;
}

// The facts of a chat request with this one message, as the data plane reads them off the wire.
Result<RequestFacts> facts_of(const control::RouteTest& test, const config::Settings& settings) {
  const boost::json::object body{{"model", test.model},
                                 {"prompt", test.prompt},
                                 {"messages", boost::json::array{boost::json::object{
                                                  {"role", "user"}, {"content", test.prompt}}}}};
  openai::FactsReader reader(test.api,
                             {.block_bytes = settings.prefix_block_bytes, .session_body_keys = {}});
  const std::string text = boost::json::serialize(body);
  IM_TRY(reader.feed(text));
  IM_TRY(reader.finish());
  RequestFacts facts = reader.facts();
  if (!test.session.empty()) facts.session_key = openai::session_key(test.session);
  return facts;
}

void add_engine_gauges(const MeshView& view, const LoadTable& loads,
                       std::vector<obs::GaugeSample>& out) {
  for (const auto& endpoint : view.endpoints) {
    if (!endpoint) continue;
    out.push_back(
        {obs::GaugeId::kInFlight,
         {endpoint->name},
         static_cast<double>(loads.at(endpoint->id).in_flight.load(std::memory_order_relaxed))});
    for (const EndpointState state :
         {EndpointState::kJoining, EndpointState::kReady, EndpointState::kSuspect,
          EndpointState::kDown, EndpointState::kDraining}) {
      out.push_back({obs::GaugeId::kEngineState,
                     {endpoint->name, std::string(to_string(state))},
                     endpoint->state == state ? 1.0 : 0.0});
    }
  }
}

}  // namespace

std::vector<control::AdminRoute> Mesh::admin_routes() {
  using control::answer_with;
  const auto at_hand = [](auto function) {
    return answer_with([function](const AdminRequest&) { return function(); });
  };
  return {
      {"GET", "/livez", at_hand([] { return AdminReply{200, "text/plain", "ok\n", {}}; })},
      {"GET", "/readyz", at_hand([this] { return get_ready(); })},
      {"GET", "/metrics", [this](AdminRequest) { return get_metrics(); }},
      {"GET", "/version", at_hand([this] { return json_reply(control::version_json(process_)); })},
      {"GET", "/api/status", [this](AdminRequest) { return get_status(); }},
      {"GET", "/api/engines",
       at_hand([this] { return json_reply(control::engines_json(moment())); })},
      {"GET", "/api/engines/{name}",
       answer_with([this](const AdminRequest& r) { return get_engine(r.name); })},
      {"GET", "/api/models",
       at_hand([this] { return json_reply(control::models_json(moment())); })},
      {"GET", "/api/pools", [this](AdminRequest) { return get_pools(); }},
      {"GET", "/api/problems",
       at_hand([this] { return json_reply(control::problems_json(problems())); })},
      {"GET", "/debug/decisions", [this](AdminRequest) { return get_decisions(); }},
      {"GET", "/debug/decisions/{name}",
       [this](AdminRequest r) { return get_decision(std::move(r.name)); }},
      {"POST", "/api/route", [this](AdminRequest r) { return post_route(std::move(r.body)); }},
      {"POST", "/api/engines/{name}/drain", answer_with([this](const AdminRequest& r) {
         return change_drain(r.name, control::DrainChange::kDrained);
       })},
      {"POST", "/api/engines/{name}/undrain", answer_with([this](const AdminRequest& r) {
         return change_drain(r.name, control::DrainChange::kUndrained);
       })},
  };
}

control::MeshMoment Mesh::moment() const {
  return {
      .view = *view_, .load = *loads_, .now = loop_.now(), .figures = figures_, .queued = queued_};
}

std::vector<control::Problem> Mesh::problems() const {
  const auto* refusal = objects_ && objects_->last_refusal() ? &*objects_->last_refusal() : nullptr;
  auto found = control::find_problems(moment(), refusal);
  if (tls_) {
    control::add_certificate_problems(tls_->certificates(), tls_->refusal(), loop_.wall_now(),
                                      found);
  }
  return found;
}

port::Task<void> Mesh::gather_queues() {
  const std::size_t pools = view_->pools.size();
  // Named, not a temporary of the co_await: GCC 12 destroys captures of such temporaries twice.
  const std::function<std::vector<std::uint32_t>(data::Shard&)> ask = [pools](data::Shard& shard) {
    std::vector<std::uint32_t> lengths(pools);
    for (std::size_t i = 0; i < pools; ++i) {
      lengths[i] = static_cast<std::uint32_t>(
          shard.admission.waiting(PoolId(static_cast<std::uint16_t>(i))));
    }
    return lengths;
  };
  const auto waiting = co_await shards_->ask_all<std::vector<std::uint32_t>>(loop_, ask);
  queued_.assign(pools, 0);
  for (const auto& lengths : waiting) {
    for (std::size_t i = 0; i < pools; ++i) queued_[i] += lengths[i];
  }
}

port::Task<void> Mesh::gather_figures() {
  const std::function<std::vector<data::RecentFigures>(data::Shard&)> ask = [](data::Shard& shard) {
    return shard.meter.figures(shard.loop.now());
  };
  const auto told = co_await shards_->ask_all<std::vector<data::RecentFigures>>(loop_, ask);
  std::map<std::string, data::RecentFigures> by_model;
  for (const auto& shard : told) {
    for (const data::RecentFigures& figures : shard) {
      data::RecentFigures& sum = by_model[figures.model];
      sum.ttft_seconds.insert(sum.ttft_seconds.end(), figures.ttft_seconds.begin(),
                              figures.ttft_seconds.end());
      sum.prompt_tokens += figures.prompt_tokens;
      sum.cached_tokens += figures.cached_tokens;
      sum.output_tokens_per_second += figures.output_tokens_per_second;
    }
  }
  figures_.assign(view_->models.size(), {});
  for (const Model& model : view_->models) {
    const auto found = by_model.find(model.name);
    if (found != by_model.end()) figures_[model.id.value] = summary_of(found->second);
  }
}

port::Task<AdminReply> Mesh::get_models() {
  co_await gather_figures();
  co_return json_reply(control::models_json(moment()));
}

port::Task<AdminReply> Mesh::get_status() {
  co_await gather_queues();
  co_await gather_figures();
  process_.wall_now = loop_.wall_now();
  if (tls_) process_.certificates = tls_->certificates();
  co_return json_reply(control::status_json(moment(), process_, problems()));
}

port::Task<AdminReply> Mesh::get_pools() {
  co_await gather_queues();
  co_return json_reply(control::pools_json(moment()));
}

port::Task<AdminReply> Mesh::get_metrics() {
  co_await gather_queues();
  std::vector<obs::GaugeSample> live;
  add_engine_gauges(*view_, *loads_, live);
  for (const Pool& pool : view_->pools) {
    const std::size_t index = pool.id.value;
    const double length = index < queued_.size() ? queued_[index] : 0;
    live.push_back({obs::GaugeId::kQueueLength, {pool.spec.name}, length});
  }
  live.push_back(
      {obs::GaugeId::kPrefixIndexBytes, {}, static_cast<double>(prefixes_.size().value)});
  if (tls_) {
    for (const control::CertificateInfo& certificate : tls_->certificates()) {
      live.push_back({obs::GaugeId::kTlsExpiry,
                      {certificate.file},
                      to_seconds(certificate.expires - loop_.wall_now())});
    }
  }
  live.push_back({obs::GaugeId::kBuildInfo, {std::string(kVersion)}, 1});
  live.push_back({obs::GaugeId::kStartTime, {}, to_seconds(started_wall_.time_since_epoch())});
  const std::uint64_t dropped = log_.dropped() + (access_log_ ? access_log_->dropped() : 0);
  live.push_back({obs::CounterId::kLogLinesDropped, {}, static_cast<double>(dropped)});
  co_return AdminReply{200, "text/plain; version=0.0.4; charset=utf-8", metrics_.expose(live), {}};
}

AdminReply Mesh::get_ready() const {
  const auto is_ready = [](const auto& endpoint) {
    return endpoint && endpoint->state == EndpointState::kReady;
  };
  const auto ready = std::count_if(view_->endpoints.begin(), view_->endpoints.end(), is_ready);
  const auto known = std::count_if(view_->endpoints.begin(), view_->endpoints.end(),
                                   [](const auto& e) { return e.has_value(); });
  const std::vector<control::ReadinessCheck> checks{
      {"listener", !stopping_,
       stopping_ ? "draining"
                 : fmt::format("takes requests on {}", process_.inference_listeners.front())},
      {"engines", ready > 0, fmt::format("{} of {} engines are ready", ready, known)},
      {"models", !view_->models.empty(), fmt::format("{} models are served", view_->models.size())},
  };
  return json_reply(control::readiness_json(checks), control::all_ok(checks) ? 200 : 503);
}

AdminReply Mesh::get_engine(const std::string& name) const {
  auto body = control::engine_json(moment(), name);
  if (!body) return no_such_engine(*view_, name);
  return json_reply(std::move(*body));
}

port::Task<AdminReply> Mesh::get_decision(std::string id) {
  const std::function<std::optional<DecisionRecord>(data::Shard&)> ask =
      [id](data::Shard& shard) -> std::optional<DecisionRecord> {
    const DecisionRecord* record = shard.decisions.find(id);
    return record == nullptr ? std::nullopt : std::optional(*record);
  };
  const auto found = co_await shards_->ask_all<std::optional<DecisionRecord>>(loop_, ask);
  for (const auto& record : found) {
    if (record) co_return json_reply(control::decision_json(*record));
  }
  co_return not_found(fmt::format("No request \"{}\" is remembered; each shard keeps the last {}.",
                                  id, settings_.decisions_kept),
                      "infermesh explain lists the latest");
}

port::Task<AdminReply> Mesh::get_decisions() {
  const std::function<std::vector<DecisionRecord>(data::Shard&)> ask = [](data::Shard& shard) {
    std::vector<DecisionRecord> records;
    for (const DecisionRecord* record : shard.decisions.recent(kRecentDecisionsMax))
      records.push_back(*record);
    return records;
  };
  const auto lists = co_await shards_->ask_all<std::vector<DecisionRecord>>(loop_, ask);
  std::vector<DecisionRecord> all;
  for (const auto& list : lists) all.insert(all.end(), list.begin(), list.end());
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.received > b.received; });
  if (all.size() > kRecentDecisionsMax) all.resize(kRecentDecisionsMax);
  co_return json_reply(control::decisions_json(all));
}

port::Task<AdminReply> Mesh::post_route(std::string body) {
  const auto test = control::parse_route_test(body);
  if (!test) co_return control::problem_reply(test.error());
  const Model* model = view_->find_model(test->model);
  if (model == nullptr)
    co_return not_found(fmt::format("The model \"{}\" is not served.", test->model),
                        "infermesh models lists what is");
  auto facts = facts_of(*test, settings_);
  if (!facts) co_return control::problem_reply(facts.error());
  // With a fresh memory, unlike the shards: nothing is sent or counted, and nothing they remember
  // moves on.
  route::RouteState state;
  Rng rng(loop_.entropy());
  const Decision decision =
      route::decide({*view_, *loads_, &prefixes_, *model, *facts, {}}, state, rng, loop_.now());
  co_return json_reply(
      control::route_json(*facts, view_->pools[model->pool.value].spec.name, decision, *view_));
}

AdminReply Mesh::change_drain(const std::string& name, control::DrainChange change) {
  const bool drain = change == control::DrainChange::kDrained;
  const auto changed = drain ? keeper_->drain(name) : keeper_->undrain(name);
  if (!changed && changed.error().code == ErrorCode::kNotFound) return no_such_engine(*view_, name);
  if (!changed) return control::problem_reply(changed.error());
  const auto found =
      std::find_if(view_->endpoints.begin(), view_->endpoints.end(),
                   [&](const auto& endpoint) { return endpoint && endpoint->name == name; });
  if (found == view_->endpoints.end()) return no_such_engine(*view_, name);
  const auto told =
      *changed == signal::DrainResult::kAlready ? control::DrainChange::kAlready : change;
  return json_reply(control::drain_json(moment(), **found, told));
}

}  // namespace infermesh::app
