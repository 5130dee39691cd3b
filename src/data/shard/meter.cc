#include "data/shard/meter.h"

#include <fmt/format.h>

#include <algorithm>

namespace infermesh::data {
namespace {

using obs::CounterId;
using obs::GaugeId;
using obs::HistogramId;

constexpr std::string_view kProvider = "infermesh";
constexpr std::string_view kUnknown = "unknown";  // the model of requests that name none of ours

// For a label, which is never empty.
std::string_view operation_name(Api api) {
  const std::string_view named = gen_ai_operation(api);
  return named.empty() ? to_string(api) : named;
}

std::optional<std::int64_t> count_of(const std::optional<Tokens>& tokens) {
  return tokens ? std::optional(tokens->value) : std::nullopt;
}

void add(obs::Counter& counter, const std::optional<Tokens>& tokens) {
  if (tokens && tokens->value > 0) counter.add(static_cast<std::uint64_t>(tokens->value));
}

}  // namespace

Meter::Meter(obs::MetricSet& metrics, obs::AccessLog* access_log)
    : metrics_(metrics),
      access_log_(access_log),
      connections_accepted_(metrics.counter(CounterId::kConnectionsAccepted)),
      connections_refused_(metrics.counter(CounterId::kConnectionsRefused)),
      upstream_connections_(metrics.counter(CounterId::kUpstreamConnections)),
      clients_stalled_(metrics.counter(CounterId::kClientsStalled)),
      retries_refused_(metrics.counter(CounterId::kRetriesRefused)),
      bytes_in_(metrics.counter(CounterId::kBytes, {"in"})),
      bytes_out_(metrics.counter(CounterId::kBytes, {"out"})),
      connections_(metrics.gauge(GaugeId::kConnections)),
      added_(metrics.histogram(HistogramId::kAdded)) {}

Meter::ModelSeries& Meter::series(const Model& model, Api api) {
  // Ids are a view's, names stay.
  const std::size_t slot = model.id.value * 8 + static_cast<std::size_t>(api);
  Models::value_type*& last = looked_up_[slot % looked_up_.size()];
  if (last == nullptr || last->first.second != api || last->first.first != model.name) {
    const auto [found, fresh] = models_.try_emplace(std::pair(model.name, api));
    if (fresh) found->second = make_series(model, api);
    last = &*found;
  }
  return last->second;
}

Meter::ModelSeries Meter::make_series(const Model& model, Api api) {
  ModelSeries made;
  made.recent = &recent_[model.name];
  const std::string_view name = model.name, api_name = to_string(api),
                         operation = operation_name(api);
  made.duration = metrics_.histogram(HistogramId::kRequestDuration, {name, api_name});
  made.ttft = metrics_.histogram(HistogramId::kTtft, {name, api_name});
  made.itl = metrics_.histogram(HistogramId::kItl, {name});
  made.upstream = metrics_.histogram(HistogramId::kUpstream, {name});
  made.gen_ai_duration = metrics_.histogram(HistogramId::kGenAiServerRequestDuration,
                                            {operation, kProvider, name, ""});
  made.gen_ai_ttft =
      metrics_.histogram(HistogramId::kGenAiServerTimeToFirstToken, {operation, kProvider, name});
  made.gen_ai_per_token =
      metrics_.histogram(HistogramId::kGenAiServerTimePerOutputToken, {operation, kProvider, name});
  made.gen_ai_input = metrics_.histogram(HistogramId::kGenAiClientTokenUsage,
                                         {operation, kProvider, name, "input"});
  made.gen_ai_output = metrics_.histogram(HistogramId::kGenAiClientTokenUsage,
                                          {operation, kProvider, name, "output"});
  made.prompt_tokens = metrics_.counter(CounterId::kTokens, {name, "prompt"});
  made.cached_tokens = metrics_.counter(CounterId::kTokens, {name, "cached"});
  made.output_tokens = metrics_.counter(CounterId::kTokens, {name, "output"});
  made.prefix_predicted = metrics_.counter(CounterId::kPrefixTokens, {name, "predicted"});
  made.prefix_served = metrics_.counter(CounterId::kPrefixTokens, {name, "served"});
  made.prefix_prompt = metrics_.counter(CounterId::kPrefixTokens, {name, "prompt"});
  return made;
}

obs::Counter& Meter::counter(CounterId id, std::string_view first, std::string_view second,
                             std::string_view third) {
  const auto key = std::pair(id, fmt::format("{}\n{}\n{}", first, second, third));
  const auto found = counters_.find(key);
  if (found != counters_.end()) return found->second;
  obs::Counter made = third.empty() ? (second.empty() ? metrics_.counter(id, {first})
                                                      : metrics_.counter(id, {first, second}))
                                    : metrics_.counter(id, {first, second, third});
  return counters_.emplace(key, made).first->second;
}

void Meter::decided(const std::string& pool, const Decision& decision) {
  auto [counter, fresh] = decisions_[pool].try_emplace({decision.policy, decision.reason});
  if (fresh) {
    counter->second = metrics_.counter(
        CounterId::kDecisions, {pool, to_string(decision.policy), to_string(decision.reason)});
  }
  counter->second.add();
}

void Meter::retried(OutcomeKind kind) {
  counter(CounterId::kRetries, to_string(kind)).add();
}
void Meter::refused(ErrorCode code) {
  counter(CounterId::kErrors, error_info(code).name).add();
}
void Meter::shed(const std::string& pool, ErrorCode code) {
  counter(CounterId::kShed, pool, error_info(code).name).add();
}
void Meter::cancelled(Api api) {
  counter(CounterId::kCancelled, to_string(api)).add();
}

void Meter::stream_broken(const Model& model, ErrorCode code) {
  counter(CounterId::kStreamsBroken, model.name, error_info(code).name).add();
}

void Meter::connection_accepted(std::size_t open) {
  connections_accepted_.add();
  connections_.set(static_cast<double>(open));
}

void Meter::count_tokens(const RequestSummary& request, ModelSeries& model) {
  add(model.prompt_tokens, request.prompt_tokens);
  add(model.cached_tokens, request.cached_tokens);
  add(model.output_tokens, request.output_tokens);
  // Hits as predicted and as served are comparable only where the engine tells what it served.
  if (request.prompt_tokens && request.cached_tokens) {
    add(model.prefix_predicted, request.predicted_cached);
    add(model.prefix_served, request.cached_tokens);
    add(model.prefix_prompt, request.prompt_tokens);
  }
  if (request.prompt_tokens)
    model.gen_ai_input.observe(static_cast<double>(request.prompt_tokens->value));
  if (request.output_tokens)
    model.gen_ai_output.observe(static_cast<double>(request.output_tokens->value));
}

void Meter::measure(const RequestSummary& request, ModelSeries& model) {
  const DecisionRecord& record = request.record;
  Duration upstream{0};
  for (const AttemptRecord& attempt : record.attempts) upstream += attempt.outcome.total;
  model.duration.observe(record.total);
  model.gen_ai_duration.observe(record.total);
  model.upstream.observe(upstream);
  const Duration added = record.total - upstream - record.queued - request.intake_time;
  added_.observe(std::max(added, Duration::zero()));
  if (record.ttft >= Duration::zero()) {
    model.ttft.observe(record.ttft);
    model.gen_ai_ttft.observe(record.ttft);
    const std::int64_t tokens = request.output_tokens.value_or(Tokens(0)).value;
    if (tokens > 1)
      model.gen_ai_per_token.observe(to_seconds(record.total - record.ttft) /
                                     static_cast<double>(tokens - 1));
  }
}

std::vector<RecentFigures> Meter::figures(Instant now) const {
  std::vector<RecentFigures> all;
  for (const auto& [model, recent] : recent_) all.push_back(recent.figures(model, now));
  return all;
}

void Meter::finished(const RequestSummary& request, Instant now) {
  const DecisionRecord& record = request.record;
  bytes_in_.add(request.bytes_in);
  bytes_out_.add(request.bytes_out);
  if (request.model != nullptr) {
    ModelSeries& model = series(*request.model, request.api);
    auto [by_status, fresh] = model.by_status.try_emplace(record.status);
    if (fresh) {
      by_status->second = metrics_.counter(
          CounterId::kRequests,
          {request.model->name, to_string(request.api), fmt::format("{}", record.status)});
    }
    by_status->second.add();
    count_tokens(request, model);
    measure(request, model);
    Recent& recent = *model.recent;
    if (record.ttft >= Duration::zero()) recent.add_ttft(record.ttft);
    if (request.output_tokens) recent.add_output(*request.output_tokens, now);
    if (request.prompt_tokens && request.cached_tokens) {
      recent.add_prompt(*request.prompt_tokens, *request.cached_tokens);
    }
    auto [queue, fresh_queue] = queues_.try_emplace(record.pool);
    if (fresh_queue) queue->second = metrics_.histogram(HistogramId::kQueue, {record.pool});
    queue->second.observe(record.queued);
  } else {
    counter(CounterId::kRequests, kUnknown, to_string(request.api),
            fmt::format("{}", record.status))
        .add();
  }
  if (access_log_ != nullptr) write_access_line(request);
}

void Meter::answered(const OwnAnswer& answer) {
  bytes_out_.add(answer.bytes_out);
  counter(CounterId::kRequests, kUnknown, answer.api, fmt::format("{}", answer.status)).add();
  if (access_log_ == nullptr) return;
  const std::string client = answer.client.peer();
  obs::AccessRecord line;
  line.time = answer.received;
  line.request_id = answer.request_id;
  line.client = client;
  line.method = answer.method;
  line.path = answer.path;
  line.status = answer.status;
  line.bytes_out = answer.bytes_out;
  line.total = answer.total;
  line.error = answer.error;
  access_log_->write(line);
}

void Meter::write_access_line(const RequestSummary& request) {
  const DecisionRecord& record = request.record;
  const std::string client = request.client.peer();
  obs::AccessRecord line;
  line.time = record.received;
  line.request_id = record.request_id;
  line.client = client;
  line.method = request.method;
  line.path = request.path;
  line.api = to_string(request.api);
  line.model = request.model_name;
  line.engine = request.engine;
  line.attempts = static_cast<std::uint32_t>(record.attempts.size());
  line.status = record.status;
  line.bytes_in = request.bytes_in;
  line.bytes_out = request.bytes_out;
  if (record.ttft >= Duration::zero()) line.ttft = record.ttft;
  line.total = record.total;
  if (record.queued > Duration::zero()) line.queued = record.queued;
  line.prompt_tokens = count_of(request.prompt_tokens);
  line.cached_tokens = count_of(request.cached_tokens);
  line.output_tokens = count_of(request.output_tokens);
  line.stream = request.stream;
  line.reason = request.reason;
  line.error = record.error_code;
  access_log_->write(line);
}

}  // namespace infermesh::data
