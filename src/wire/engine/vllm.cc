// vLLM: /health is 200 or 503 with an empty body, /metrics carries the load; present and older
// metric names are read.
#include <charconv>

#include "wire/engine/adapter.h"
#include "wire/engine/json_read.h"
#include "wire/engine/metrics_text.h"
#include "wire/engine/sum.h"

namespace infermesh::engines {
namespace {

enum Key : std::uint8_t {
  kRunning,
  kWaiting,
  kWaitingByReason,
  kKvUsed,
  kKvUsedOlder,
  kPrefixQueries,
  kPrefixQueriesOlder,
  kPrefixHits,
  kPrefixHitsOlder,
  kPromptTokens,
  kGenerationTokens,
  kCacheConfig,
  kStartTime,
  kKeys,
};

constexpr std::array kWanted{
    WantedMetric{"vllm:num_requests_running", kRunning},
    WantedMetric{"vllm:num_requests_waiting", kWaiting},
    WantedMetric{"vllm:num_requests_waiting_by_reason", kWaitingByReason},
    WantedMetric{"vllm:kv_cache_usage_perc", kKvUsed},
    WantedMetric{"vllm:gpu_cache_usage_perc", kKvUsedOlder},
    WantedMetric{"vllm:prefix_cache_queries", kPrefixQueries},
    WantedMetric{"vllm:gpu_prefix_cache_queries", kPrefixQueriesOlder},
    WantedMetric{"vllm:prefix_cache_hits", kPrefixHits},
    WantedMetric{"vllm:gpu_prefix_cache_hits", kPrefixHitsOlder},
    WantedMetric{"vllm:prompt_tokens", kPromptTokens},
    WantedMetric{"vllm:generation_tokens", kGenerationTokens},
    WantedMetric{"vllm:cache_config_info", kCacheConfig},
    WantedMetric{"process_start_time_seconds", kStartTime},
};
constexpr MetricTable kTable{kWanted};

double number_label(const MetricSample& sample, std::string_view name) {
  const auto text = sample.label(name);
  if (!text) return -1;
  double value = -1;
  std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

// The cache's size stands in the labels of an info metric: directly in newer builds, else blocks
// times block size.
double cache_tokens(const MetricSample& sample) {
  const double tokens = number_label(sample, "kv_cache_size_tokens");
  if (tokens >= 0) return tokens;
  const double blocks = number_label(sample, "num_gpu_blocks");
  const double block_size = number_label(sample, "block_size");
  return blocks >= 0 && block_size >= 0 ? blocks * block_size : -1;
}

using Sums = std::array<Sum, kKeys>;

void add_sample(Sums& sums, const MetricSample& sample) {
  Sum& sum = sums[sample.key];
  switch (sample.key) {
    case kWaitingByReason:
      // "deferred" requests wait for a turn that a limit of their own sets, which is no sign of
      // pressure.
      if (sample.label("reason") == "capacity") sum.add(sample.value);
      break;
    case kKvUsed:
    case kKvUsedOlder:
    case kStartTime:
      sum.take_max(sample.value);
      break;
    case kCacheConfig:
      sum.add(cache_tokens(sample));
      break;
    default:
      sum.add(sample.value);
  }
}

Result<LoadReading> read_load(std::string_view, std::string_view body, Instant now) {
  Sums sums;
  MetricScanner scanner(body, kTable);
  MetricSample sample;
  while (scanner.next(sample)) add_sample(sums, sample);
  if (!sums[kRunning].value() && !sums[kWaiting].value()) {
    return fail(ErrorCode::kUpstreamBadResponse, "/metrics has no vllm:num_requests_running");
  }
  LoadReading reading;
  EngineReport& report = reading.report;
  report.running = sums[kRunning].count32();
  report.waiting = first_known(sums[kWaitingByReason].count32(), sums[kWaiting].count32());
  report.kv_used = first_known(sums[kKvUsed].fraction(), sums[kKvUsedOlder].fraction());
  report.kv_tokens_total = sums[kCacheConfig].tokens();
  report.prefix_query_tokens =
      first_known(sums[kPrefixQueries].count(), sums[kPrefixQueriesOlder].count());
  report.prefix_hit_tokens = first_known(sums[kPrefixHits].count(), sums[kPrefixHitsOlder].count());
  report.prompt_tokens = sums[kPromptTokens].count();
  report.generation_tokens = sums[kGenerationTokens].count();
  report.read_at = now;
  reading.started_at = sums[kStartTime].value();
  if (report.prompt_tokens || report.generation_tokens) {
    reading.work_done = report.prompt_tokens.value_or(0) + report.generation_tokens.value_or(0);
  }
  return reading;
}

Result<Identity> read_identity(std::string_view body) {
  const auto parsed = parse_json(body);
  if (!parsed) return std::unexpected(parsed.error());
  return Identity{std::string(text_of(*parsed, "version")), std::nullopt};
}

HealthVerdict read_health(const Answer& answer) {
  if (answer.status == 503) return {Health::kFailing, "its engine process has died (/health 503)"};
  return read_health_status(answer);
}

}  // namespace

const Adapter kVllmAdapter{
    .runtime = Runtime::kVllm,
    .title = "vLLM",
    .health = {"/health"},
    .models = {"/v1/models"},
    .identity = {"/version"},
    .load = {Page{"/metrics"}, Page{}},
    .read_health = read_health,
    .read_models = read_model_list,
    .read_identity = read_identity,
    .read_load = read_load,
};

}  // namespace infermesh::engines
