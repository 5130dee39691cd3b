// SGLang: /health is 503 while it starts and while it stops; load from /v1/loads, which needs no
// metrics option, else from /metrics. Tensor-parallel ranks may repeat a figure, so only
// data-parallel ranks add up.
#include "wire/engine/adapter.h"
#include "wire/engine/json_read.h"
#include "wire/engine/metrics_text.h"
#include "wire/engine/sum.h"

namespace infermesh::engines {
namespace {

enum Key : std::uint8_t {
  kRunning,
  kWaiting,
  kKvUsed,
  kKvTotal,
  kPromptTokens,
  kGenerationTokens,
  kCachedTokens,
  kStartTime,
};

constexpr std::array kWanted{
    WantedMetric{"sglang:num_running_reqs", kRunning},
    WantedMetric{"sglang:num_queue_reqs", kWaiting},
    WantedMetric{"sglang:token_usage", kKvUsed},
    WantedMetric{"sglang:max_total_num_tokens", kKvTotal},
    WantedMetric{"sglang:prompt_tokens", kPromptTokens},
    WantedMetric{"sglang:generation_tokens", kGenerationTokens},
    WantedMetric{"sglang:cached_tokens", kCachedTokens},
    WantedMetric{"process_start_time_seconds", kStartTime},
};
constexpr MetricTable kTable{kWanted};

struct PageSums {
  RankSum running;
  RankSum waiting;
  RankSum kv_total;
  Sum kv_used;
  Sum prompt;
  Sum generated;
  Sum cached;
  Sum started;

  void add(const MetricSample& sample) {
    switch (sample.key) {
      case kRunning:
        return running.add(sample.label("dp_rank"), sample.value);
      case kWaiting:
        return waiting.add(sample.label("dp_rank"), sample.value);
      case kKvTotal:
        return kv_total.add(sample.label("dp_rank"), sample.value);
      case kKvUsed:
        return kv_used.take_max(sample.value);
      case kPromptTokens:
        return prompt.add(sample.value);
      case kGenerationTokens:
        return generated.add(sample.value);
      case kCachedTokens:
        return cached.add(sample.value);
      default:
        return started.take_max(sample.value);
    }
  }
};

Result<LoadReading> read_metrics(std::string_view body, Instant now) {
  PageSums sums;
  MetricScanner scanner(body, kTable);
  MetricSample sample;
  while (scanner.next(sample)) sums.add(sample);
  LoadReading reading;
  EngineReport& report = reading.report;
  report.running = sums.running.total().count32();
  report.waiting = sums.waiting.total().count32();
  if (!report.running && !report.waiting) {
    return fail(ErrorCode::kUpstreamBadResponse, "/metrics has no sglang:num_running_reqs");
  }
  report.kv_used = sums.kv_used.fraction();
  report.kv_tokens_total = sums.kv_total.total().tokens();
  report.prompt_tokens = sums.prompt.count();
  report.generation_tokens = sums.generated.count();
  report.prefix_hit_tokens = sums.cached.count();
  if (report.prefix_hit_tokens) report.prefix_query_tokens = report.prompt_tokens;
  report.read_at = now;
  reading.started_at = sums.started.value();
  if (report.prompt_tokens || report.generation_tokens) {
    reading.work_done = report.prompt_tokens.value_or(0) + report.generation_tokens.value_or(0);
  }
  return reading;
}

void add_member(Sum& sum, const Json& load, std::string_view key) {
  if (const auto value = number_of(load, key)) sum.add(*value);
}

Result<LoadReading> read_loads(std::string_view body, Instant now) {
  const auto parsed = parse_json(body);
  if (!parsed) return std::unexpected(parsed.error());
  const auto* loads = array_of(*parsed, "loads");
  if (loads == nullptr || loads->empty()) {
    return fail(ErrorCode::kUpstreamBadResponse, "/v1/loads has no entry in `loads`");
  }
  Sum running;
  Sum waiting;
  Sum waiting_tokens;
  Sum kv_used;
  Sum kv_total;
  Sum slots;
  Sum prefilled;
  for (const Json& load : *loads) {
    add_member(running, load, "num_running_reqs");
    add_member(waiting, load, "num_waiting_reqs");
    add_member(waiting_tokens, load, "num_waiting_uncached_tokens");
    add_member(kv_total, load, "max_total_num_tokens");
    add_member(slots, load, "max_running_requests");
    add_member(prefilled, load, "total_prefill_uncached_tokens");
    kv_used.take_max(number_of(load, "token_usage").value_or(-1));
  }
  LoadReading reading;
  reading.report.running = running.count32();
  reading.report.waiting = waiting.count32();
  reading.report.waiting_prompt_tokens = waiting_tokens.tokens();
  reading.report.kv_used = kv_used.fraction();
  reading.report.kv_tokens_total = kv_total.tokens();
  reading.report.read_at = now;
  reading.concurrency_max = slots.count32();
  reading.work_done = prefilled.count();
  return reading;
}

Result<LoadReading> read_load(std::string_view path, std::string_view body, Instant now) {
  return path == "/metrics" ? read_metrics(body, now) : read_loads(body, now);
}

// Every rank has its own limit, in its own state.
Result<Identity> read_identity(std::string_view body) {
  const auto parsed = parse_json(body);
  if (!parsed) return std::unexpected(parsed.error());
  Identity identity{std::string(text_of(*parsed, "version")), std::nullopt};
  const auto* states = array_of(*parsed, "internal_states");
  if (states == nullptr) return identity;
  Sum slots;
  for (const Json& state : *states)
    add_member(slots, state, "effective_max_running_requests_per_dp");
  identity.concurrency_max = slots.count32();
  return identity;
}

HealthVerdict read_health(const Answer& answer) {
  if (answer.status == 503) return {Health::kLoading, "it is starting or stopping (/health 503)"};
  return read_health_status(answer);
}

}  // namespace

const Adapter kSglangAdapter{
    .runtime = Runtime::kSglang,
    .title = "SGLang",
    .health = {"/health"},
    .health_cost = HealthCost::kRunsRequest,
    .models = {"/v1/models"},
    .identity = {"/server_info"},
    .load = {Page{"/v1/loads"}, Page{"/metrics"}},
    .read_health = read_health,
    .read_models = read_model_list,
    .read_identity = read_identity,
    .read_load = read_load,
};

}  // namespace infermesh::engines
