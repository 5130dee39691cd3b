// llama.cpp's HTTP server: everything answers 503 "Loading model" while it loads; /props tells the
// slots; load from /metrics where it is switched on, else from /slots.
#include "wire/engine/adapter.h"
#include "wire/engine/json_read.h"
#include "wire/engine/metrics_text.h"
#include "wire/engine/sum.h"

namespace infermesh::engines {
namespace {

enum Key : std::uint8_t { kRunning, kWaiting, kPromptTokens, kCachedTokens, kGenerated, kKeys };

constexpr std::array kWanted{
    WantedMetric{"llamacpp:requests_processing", kRunning},
    WantedMetric{"llamacpp:requests_deferred", kWaiting},
    WantedMetric{"llamacpp:prompt_tokens", kPromptTokens},
    WantedMetric{"llamacpp:prompt_tokens_cached", kCachedTokens},
    WantedMetric{"llamacpp:tokens_predicted", kGenerated},
};
constexpr MetricTable kTable{kWanted};

Result<LoadReading> read_metrics(std::string_view body, Instant now) {
  std::array<Sum, kKeys> sums;
  MetricScanner scanner(body, kTable);
  MetricSample sample;
  while (scanner.next(sample)) sums[sample.key].add(sample.value);
  if (!sums[kRunning].value()) {
    return fail(ErrorCode::kUpstreamBadResponse, "/metrics has no llamacpp:requests_processing");
  }
  LoadReading reading;
  EngineReport& report = reading.report;
  report.running = sums[kRunning].count32();
  report.waiting = sums[kWaiting].count32();
  report.generation_tokens = sums[kGenerated].count();
  // The server counts the prompt tokens that it computed and those that it found cached apart.
  const auto computed = sums[kPromptTokens].count();
  report.prefix_hit_tokens = sums[kCachedTokens].count();
  if (computed) report.prompt_tokens = *computed + report.prefix_hit_tokens.value_or(0);
  if (report.prefix_hit_tokens) report.prefix_query_tokens = report.prompt_tokens;
  report.read_at = now;
  if (report.prompt_tokens) {
    reading.work_done = *report.prompt_tokens + report.generation_tokens.value_or(0);
  }
  return reading;
}

// Slots tell who is busy but not who waits.
Result<LoadReading> read_slots(std::string_view body, Instant now) {
  const auto parsed = parse_json(body);
  if (!parsed) return std::unexpected(parsed.error());
  const auto* slots = parsed->if_array();
  if (slots == nullptr) return fail(ErrorCode::kUpstreamBadResponse, "/slots is not an array");
  LoadReading reading;
  std::uint32_t busy = 0;
  Sum context;
  Sum used;
  for (const Json& slot : *slots) {
    const Json* processing = member(slot, "is_processing");
    context.add(number_of(slot, "n_ctx").value_or(-1));
    if (processing == nullptr || !processing->is_bool() || !processing->get_bool()) continue;
    ++busy;
    used.add(number_of(slot, "n_prompt_tokens").value_or(0));
  }
  reading.report.running = busy;
  reading.report.kv_tokens_total = context.tokens();
  if (context.value().value_or(0) > 0 && (used.value() || busy == 0)) {
    reading.report.kv_used = std::min(used.value().value_or(0) / *context.value(), 1.0);
  }
  reading.report.read_at = now;
  reading.concurrency_max = to_count32(static_cast<double>(slots->size()));
  return reading;
}

Result<LoadReading> read_load(std::string_view path, std::string_view body, Instant now) {
  return path == "/slots" ? read_slots(body, now) : read_metrics(body, now);
}

Result<Identity> read_identity(std::string_view body) {
  const auto parsed = parse_json(body);
  if (!parsed) return std::unexpected(parsed.error());
  Identity identity{std::string(text_of(*parsed, "build_info")), std::nullopt};
  if (const auto slots = number_of(*parsed, "total_slots")) {
    identity.concurrency_max = to_count32(*slots);
  }
  return identity;
}

HealthVerdict read_health(const Answer& answer) {
  if (answer.status != 503) return read_health_status(answer);
  if (answer.body.find("Loading model") != std::string_view::npos) {
    return {Health::kLoading, "it is loading its model"};
  }
  return {Health::kFailing, "its health check answers 503"};
}

}  // namespace

const Adapter kLlamacppAdapter{
    .runtime = Runtime::kLlamacpp,
    .title = "llama.cpp",
    .health = {"/health"},
    .models = {"/v1/models"},
    .identity = {"/props"},
    .load = {Page{"/metrics"}, Page{"/slots"}},
    .read_health = read_health,
    .read_models = read_model_list,
    .read_identity = read_identity,
    .read_load = read_load,
};

}  // namespace infermesh::engines
