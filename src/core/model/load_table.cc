#include "core/model/load_table.h"

namespace infermesh {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

template <typename Out, typename In>
Out known_or_minus_one(const std::optional<In>& value) {
  return value ? static_cast<Out>(*value) : Out{-1};
}

}  // namespace

void LoadTable::report(EndpointId id, const EngineReport& report) {
  LoadCell& cell = at(id);
  cell.reported_running.store(known_or_minus_one<std::int32_t>(report.running), kRelaxed);
  cell.reported_waiting.store(known_or_minus_one<std::int32_t>(report.waiting), kRelaxed);
  cell.reported_waiting_tokens.store(
      report.waiting_prompt_tokens ? report.waiting_prompt_tokens->value : -1, kRelaxed);
  cell.reported_kv_used.store(known_or_minus_one<float>(report.kv_used), kRelaxed);
  cell.reported_at_ns.store(report.read_at.time_since_epoch().count(), kRelaxed);
}

void LoadTable::reset(EndpointId id) {
  LoadCell& cell = at(id);
  cell.in_flight.store(0, kRelaxed);
  cell.prefill_tokens_ahead.store(0, kRelaxed);
  cell.decode_tokens_ahead.store(0, kRelaxed);
  cell.streams.store(0, kRelaxed);
  cell.prefill_tokens_per_second.store(0, kRelaxed);
  cell.seconds_per_token.store(0, kRelaxed);
  cell.overhead_seconds.store(0, kRelaxed);
  cell.rates_at_ns.store(0, kRelaxed);
  cell.requests.store(0, kRelaxed);
  cell.failures.store(0, kRelaxed);
  report(id, EngineReport{});
}

}  // namespace infermesh
