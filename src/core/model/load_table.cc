#include "core/model/load_table.h"

#include <algorithm>

namespace infermesh {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

template <typename Out, typename In>
Out known_or_minus_one(const std::optional<In>& value) {
  return value ? static_cast<Out>(*value) : Out{-1};
}

template <typename Count>
void smooth_others(std::atomic<Count>& value, std::atomic<Count>& last, Count seen) {
  const Count now_seen = std::max(Count{0}, seen);
  value.store(std::min(now_seen, last.load(kRelaxed)), kRelaxed);
  last.store(now_seen, kRelaxed);
}

void note_others(LoadCell& cell, const EngineReport& report) {
  const auto running = known_or_minus_one<std::int32_t>(report.running);
  const auto waiting = known_or_minus_one<std::int32_t>(report.waiting);
  const std::int32_t own = cell.in_flight.load(kRelaxed);
  const std::int32_t own_waiting = std::max(0, own - cell.streams.load(kRelaxed));
  const std::int32_t others = std::max(0, running) + std::max(0, waiting) - own;
  const std::int32_t others_waiting = std::min(std::max(0, others), waiting - own_waiting);
  smooth_others(cell.others_waiting, cell.others_waiting_last, others_waiting);
  smooth_others(cell.others_running, cell.others_running_last,
                others - std::max(0, others_waiting));
  if (!report.waiting_prompt_tokens) {
    cell.others_waiting_tokens.store(-1, kRelaxed);
    cell.others_waiting_tokens_last.store(-1, kRelaxed);
    return;
  }
  // Of the own tokens ahead some are in work and not in the engine's queue, so this errs low.
  smooth_others(cell.others_waiting_tokens, cell.others_waiting_tokens_last,
                report.waiting_prompt_tokens->value - cell.prefill_tokens_ahead.load(kRelaxed));
}

void reset_line(LineSums& line) {
  line.pending_merged.store(0, kRelaxed);
  for (auto* sum : {&line.pending_x, &line.pending_y, &line.weight, &line.x, &line.y, &line.xx,
                    &line.xy, &line.observed, &line.expected}) {
    sum->store(0, kRelaxed);
  }
}

}  // namespace

void LoadTable::report(EndpointId id, const EngineReport& report) {
  LoadCell& cell = at(id);
  cell.reported_running.store(known_or_minus_one<std::int32_t>(report.running), kRelaxed);
  cell.reported_waiting.store(known_or_minus_one<std::int32_t>(report.waiting), kRelaxed);
  cell.reported_waiting_tokens.store(
      report.waiting_prompt_tokens ? report.waiting_prompt_tokens->value : -1, kRelaxed);
  cell.reported_kv_used.store(known_or_minus_one<float>(report.kv_used), kRelaxed);
  note_others(cell, report);
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
  cell.seconds_per_token_per_stream.store(0, kRelaxed);
  cell.prefix_trust.store(1, kRelaxed);
  cell.prefill_since_ns.store(0, kRelaxed);
  cell.prefill_tokens_done.store(0, kRelaxed);
  cell.unseen_prefill_until_ns.store(0, kRelaxed);
  reset_line(cell.prefill_line);
  reset_line(cell.decode_line);
  cell.requests.store(0, kRelaxed);
  cell.failures.store(0, kRelaxed);
  report(id, EngineReport{});
}

}  // namespace infermesh
