#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "control/admin_json.h"
#include "control/json_text.h"

namespace infermesh::control {
namespace {

namespace json = boost::json;
constexpr auto kRelaxed = std::memory_order_relaxed;

template <typename Number>
json::value or_null(std::optional<Number> number) {
  return number ? json::value(*number) : json::value(nullptr);
}

json::value text_or_null(std::string_view text) {
  return text.empty() ? json::value(nullptr) : json::value(text);
}

json::value rounded_or_null(std::optional<double> number, int decimals) {
  return number ? rounded(*number, decimals) : json::value(nullptr);
}

json::value age_ms(const MeshMoment& moment, Instant then) {
  return millis(std::max(Duration::zero(), moment.now - then));
}

json::value reported_json(const MeshMoment& moment, const LoadCell& cell) {
  const std::int64_t read_at = cell.reported_at_ns.load(kRelaxed);
  if (read_at == 0) return nullptr;
  const auto known = [](auto number) {
    return number < 0 ? json::value(nullptr) : json::value(static_cast<std::int64_t>(number));
  };
  const float kv_used = cell.reported_kv_used.load(kRelaxed);
  return json::object{{"running", known(cell.reported_running.load(kRelaxed))},
                      {"waiting", known(cell.reported_waiting.load(kRelaxed))},
                      {"waiting_tokens", known(cell.reported_waiting_tokens.load(kRelaxed))},
                      {"kv_used", kv_used < 0 ? json::value(nullptr) : rounded(double{kv_used}, 4)},
                      {"age_ms", age_ms(moment, Instant(Duration(read_at)))}};
}

json::value measured_json(const MeshMoment& moment, const LoadCell& cell) {
  const std::int64_t updated_at = cell.rates_at_ns.load(kRelaxed);
  if (updated_at == 0) return nullptr;
  const auto known = [](double number, int decimals) {
    return number <= 0 ? json::value(nullptr) : rounded(number, decimals);
  };
  return json::object{
      {"prefill_tokens_per_second", known(cell.prefill_tokens_per_second.load(kRelaxed), 1)},
      {"seconds_per_token", known(cell.seconds_per_token.load(kRelaxed), 6)},
      {"seconds_per_token_per_stream", known(cell.seconds_per_token_per_stream.load(kRelaxed), 6)},
      {"overhead_seconds", known(cell.overhead_seconds.load(kRelaxed), 6)},
      {"age_ms", age_ms(moment, Instant(Duration(updated_at)))}};
}

json::array ejections_json(const MeshMoment& moment, const Endpoint& engine) {
  json::array out;
  for (const Ejection& ejection : moment.view.ejections) {
    if (ejection.endpoint != engine.id || ejection.model.value >= moment.view.models.size())
      continue;
    const bool by_probe = ejection.until == kNever;
    out.push_back(json::object{
        {"model", moment.view.models[ejection.model.value].name},
        {"reason", ejection.reason},
        {"half_open", ejection.half_open},
        {"since_ms", age_ms(moment, ejection.since)},
        {"remaining_ms", by_probe
                             ? json::value(nullptr)
                             : millis(std::max(Duration::zero(), ejection.until - moment.now))}});
  }
  return out;
}

json::array pools_of(const MeshView& view, EndpointId id) {
  json::array out;
  for (const Pool& pool : view.pools) {
    if (std::binary_search(pool.endpoints.begin(), pool.endpoints.end(), id)) {
      out.push_back(json::value(pool.spec.name));
    }
  }
  return out;
}

json::array apis_json(ApiSet apis) {
  json::array out;
  for (std::size_t i = 0; i < kApis; ++i) {
    const auto api = static_cast<Api>(i);
    if (apis.contains(api)) out.push_back(json::value(to_string(api)));
  }
  return out;
}

json::object engine_object(const MeshMoment& moment, const Endpoint& engine) {
  const LoadCell& cell = moment.load.at(engine.id);
  json::array models;
  for (const ServedModel& model : engine.models) models.push_back(json::value(model.name));
  return {{"name", engine.name},
          {"url", fmt::format("{}://{}", engine.tls ? "https" : "http", engine.authority)},
          {"runtime", engine.runtime_name()},
          {"apis", apis_json(engine.apis)},
          {"version", text_or_null(engine.version)},
          {"state", to_string(engine.state)},
          {"reason", text_or_null(engine.state_reason)},
          {"since_ms", age_ms(moment, engine.state_since)},
          {"models", std::move(models)},
          {"pools", pools_of(moment.view, engine.id)},
          {"weight", engine.weight},
          {"in_flight", cell.in_flight.load(kRelaxed)},
          {"in_flight_max", engine.in_flight_max},
          {"concurrency_max", or_null(engine.concurrency_max)},
          {"streams", cell.streams.load(kRelaxed)},
          {"prefill_tokens_ahead", cell.prefill_tokens_ahead.load(kRelaxed)},
          {"decode_tokens_ahead", cell.decode_tokens_ahead.load(kRelaxed)},
          {"reported", reported_json(moment, cell)},
          {"measured", measured_json(moment, cell)},
          {"ejections", ejections_json(moment, engine)},
          {"requests", cell.requests.load(kRelaxed)},
          {"failures", cell.failures.load(kRelaxed)}};
}

// Sums over the engines that told; null when none did.
struct LoadSum {
  std::optional<std::int64_t> running;
  std::optional<std::int64_t> waiting;
  std::optional<double> kv_used;  // the fullest engine's
  std::optional<Duration> age;    // of the oldest report counted
  std::int64_t in_flight = 0;
  std::int64_t ready = 0;
};

LoadSum sum_load(const MeshMoment& moment, std::span<const EndpointId> engines) {
  LoadSum sum;
  for (EndpointId id : engines) {
    const Endpoint* engine = moment.view.endpoint(id);
    if (engine == nullptr) continue;
    const LoadCell& cell = moment.load.at(id);
    sum.in_flight += cell.in_flight.load(kRelaxed);
    if (engine->state == EndpointState::kReady) ++sum.ready;
    const auto add = [](std::optional<std::int64_t>& total, std::int64_t told) {
      if (told >= 0) total = total.value_or(0) + told;
    };
    add(sum.running, cell.reported_running.load(kRelaxed));
    add(sum.waiting, cell.reported_waiting.load(kRelaxed));
    if (const auto at = cell.reported_at_ns.load(kRelaxed); at > 0) {
      const Duration age = std::max(Duration::zero(), moment.now - Instant(Duration(at)));
      sum.age = std::max(sum.age.value_or(age), age);
    }
    const double kv_used = cell.reported_kv_used.load(kRelaxed);
    if (kv_used >= 0) sum.kv_used = std::max(sum.kv_used.value_or(0), kv_used);
  }
  return sum;
}

json::array engine_names(const MeshView& view, std::span<const EndpointId> engines) {
  json::array out;
  for (EndpointId id : engines) {
    if (const Endpoint* engine = view.endpoint(id)) out.push_back(json::value(engine->name));
  }
  return out;
}

json::array aliases_of(const MeshView& view, const Model& model) {
  json::array out;
  for (const auto& [name, id] : view.names) {
    if (id == model.id && name != model.name) out.push_back(json::value(name));
  }
  return out;
}

json::object model_object(const MeshMoment& moment, const Model& model) {
  const LoadSum sum = sum_load(moment, model.endpoints);
  const ModelFigures figures =
      model.id.value < moment.figures.size() ? moment.figures[model.id.value] : ModelFigures{};
  const Pool* pool =
      model.pool.value < moment.view.pools.size() ? &moment.view.pools[model.pool.value] : nullptr;
  const PolicyKind policy = model.policy      ? model.policy->policy
                            : pool != nullptr ? pool->policy.policy
                                              : PolicyKind::kExpectedLatency;
  const auto seconds_to_ms = [](std::optional<double> seconds) {
    return seconds ? rounded(*seconds * 1e3, 3) : json::value(nullptr);
  };
  return {{"name", model.name},
          {"served_name", model.served_name},
          {"aliases", aliases_of(moment.view, model)},
          {"parent", text_or_null(model.parent)},
          {"pool", text_or_null(pool != nullptr ? pool->spec.name : "")},
          {"policy", to_string(policy)},
          {"context_max", model.context_max ? json::value(model.context_max->value) : nullptr},
          {"expected_output_tokens", model.expected_output_tokens},
          {"engines", engine_names(moment.view, model.endpoints)},
          {"engines_ready", sum.ready},
          {"in_flight", sum.in_flight},
          {"running", or_null(sum.running)},
          {"waiting", or_null(sum.waiting)},
          {"kv_used", rounded_or_null(sum.kv_used, 4)},
          {"load_age_ms", sum.age ? millis(*sum.age) : json::value(nullptr)},
          {"prefix_hit_ratio", rounded_or_null(figures.prefix_hit_ratio, 4)},
          {"ttft_p50_ms", seconds_to_ms(figures.ttft_p50_seconds)},
          {"ttft_p99_ms", seconds_to_ms(figures.ttft_p99_seconds)},
          {"output_tokens_per_second", rounded_or_null(figures.output_tokens_per_second, 1)}};
}

json::object pool_object(const MeshMoment& moment, const Pool& pool) {
  const LoadSum sum = sum_load(moment, pool.endpoints);
  json::array models;
  for (const Model& model : moment.view.models) {
    if (model.pool == pool.id) models.push_back(json::value(model.name));
  }
  const PoolObject& spec = pool.spec;
  const json::value queued = pool.id.value < moment.queued.size()
                                 ? json::value(moment.queued[pool.id.value])
                                 : json::value(nullptr);
  return {{"name", spec.name},
          {"policy", to_string(pool.policy.policy)},
          {"models", std::move(models)},
          {"engines", engine_names(moment.view, pool.endpoints)},
          {"engines_ready", sum.ready},
          {"in_flight", sum.in_flight},
          {"queued", queued},
          {"queue_max", spec.queue_max},
          {"queue_timeout_ms", millis(spec.queue_timeout)},
          {"in_flight_per_engine_max", spec.in_flight_per_engine_max},
          {"attempts_max", spec.attempts_max},
          {"retry_budget", rounded(spec.retry_budget, 4)},
          {"ejected_share_max", rounded(spec.ejected_share_max, 4)},
          {"connect_timeout_ms", millis(spec.connect_timeout)},
          {"first_byte_timeout_ms", millis(spec.first_byte_timeout)},
          {"between_bytes_timeout_ms", millis(spec.between_bytes_timeout)},
          {"total_timeout_ms", millis(spec.total_timeout)},
          {"media_first_byte_timeout_ms", millis(spec.media_first_byte_timeout)},
          {"media_total_timeout_ms", millis(spec.media_total_timeout)}};
}

json::array problem_array(std::span<const Problem> problems) {
  json::array out;
  for (const Problem& problem : problems) {
    out.push_back(json::object{{"severity", to_string(problem.severity)},
                               {"kind", problem.kind},
                               {"name", text_or_null(problem.name)},
                               {"what", problem.what},
                               {"next", problem.next},
                               {"since_ms", millis_or_null(problem.since)}});
  }
  return out;
}

json::array model_array(const MeshMoment& moment) {
  json::array out;
  for (const Model& model : moment.view.models) out.push_back(model_object(moment, model));
  return out;
}

json::array strings(std::span<const std::string> texts) {
  json::array out;
  for (const std::string& text : texts) out.push_back(json::value(text));
  return out;
}

json::array certificate_array(const ProcessFacts& process) {
  json::array out;
  for (const CertificateInfo& certificate : process.certificates) {
    out.push_back(json::object{{"file", certificate.file},
                               {"subject", certificate.subject},
                               {"names", certificate.names},
                               {"expires", format_wall_time(certificate.expires)},
                               {"expires_in_ms", millis(certificate.expires - process.wall_now)}});
  }
  return out;
}

json::object engine_counts(const MeshMoment& moment) {
  std::array<std::int64_t, 5> counts{};
  std::int64_t total = 0;
  for (const auto& engine : moment.view.endpoints) {
    if (!engine) continue;
    ++total;
    ++counts[static_cast<std::size_t>(engine->state)];
  }
  json::object out{{"total", total}};
  for (std::size_t i = 0; i < counts.size(); ++i) {
    out[to_string(static_cast<EndpointState>(i))] = counts[i];
  }
  return out;
}

std::int64_t in_flight_total(const MeshMoment& moment) {
  std::int64_t total = 0;
  for (const auto& engine : moment.view.endpoints) {
    if (engine) total += moment.load.at(engine->id).in_flight.load(kRelaxed);
  }
  return total;
}

}  // namespace

std::string status_json(const MeshMoment& moment, const ProcessFacts& process,
                        std::span<const Problem> problems) {
  std::uint64_t queued = 0;
  for (std::uint32_t waiting : moment.queued) queued += waiting;
  return json_text(
      json::object{{"version", process.version},
                   {"time", format_wall_time(process.wall_now)},
                   {"uptime_ms", age_ms(moment, process.started)},
                   {"generation", moment.view.generation},
                   {"generation_age_ms", age_ms(moment, process.view_since)},
                   {"shards", process.shards},
                   {"listeners", json::object{{"inference", strings(process.inference_listeners)},
                                              {"admin", strings(process.admin_listeners)}}},
                   {"certificates", certificate_array(process)},
                   {"objects", text_or_null(process.objects_path)},
                   {"engines", engine_counts(moment)},
                   {"in_flight", in_flight_total(moment)},
                   {"queued", queued},
                   {"problems", problem_array(problems)},
                   {"models", model_array(moment)}});
}

std::string engines_json(const MeshMoment& moment) {
  json::array engines;
  for (const auto& engine : moment.view.endpoints) {
    if (engine) engines.push_back(engine_object(moment, *engine));
  }
  return json_text(
      json::object{{"generation", moment.view.generation}, {"engines", std::move(engines)}});
}

std::optional<std::string> engine_json(const MeshMoment& moment, std::string_view name) {
  for (const auto& engine : moment.view.endpoints) {
    if (engine && engine->name == name) return json_text(engine_object(moment, *engine));
  }
  return std::nullopt;
}

std::string models_json(const MeshMoment& moment) {
  return json_text(
      json::object{{"generation", moment.view.generation}, {"models", model_array(moment)}});
}

std::string pools_json(const MeshMoment& moment) {
  json::array pools;
  for (const Pool& pool : moment.view.pools) pools.push_back(pool_object(moment, pool));
  return json_text(
      json::object{{"generation", moment.view.generation}, {"pools", std::move(pools)}});
}

std::string problems_json(std::span<const Problem> problems) {
  return json_text(json::object{{"problems", problem_array(problems)}});
}

std::string version_json(const ProcessFacts& process) {
  return json_text(
      json::object{{"version", process.version}, {"commit", text_or_null(process.commit)}});
}

std::string drain_json(const MeshMoment& moment, const Endpoint& endpoint, DrainChange change) {
  return json_text(
      json::object{{"name", endpoint.name},
                   {"state", to_string(endpoint.state)},
                   {"changed", change != DrainChange::kAlready},
                   {"in_flight", moment.load.at(endpoint.id).in_flight.load(kRelaxed)}});
}

}  // namespace infermesh::control
