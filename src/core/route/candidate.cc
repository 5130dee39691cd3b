#include "core/route/candidate.h"

#include <algorithm>

namespace infermesh::route {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

Duration since(std::int64_t at_ns, Instant now) {
  return std::max(Duration(0), Duration(now.time_since_epoch().count() - at_ns));
}

}  // namespace

Load read_load(const LoadCell& cell, Instant now) {
  Load load;
  load.in_flight = std::max(0, cell.in_flight.load(kRelaxed));
  load.streams = std::max(0, cell.streams.load(kRelaxed));
  load.prefill_ahead = Tokens(std::max<std::int64_t>(0, cell.prefill_tokens_ahead.load(kRelaxed)));
  if (const auto at = cell.prefill_since_ns.load(kRelaxed); at > 0)
    load.prefill_elapsed = since(at, now);
  const auto unseen = cell.unseen_prefill_until_ns.load(kRelaxed) - now.time_since_epoch().count();
  load.unseen_prefill = std::max(Duration(0), Duration(unseen));
  if (const auto at = cell.reported_at_ns.load(kRelaxed); at > 0) load.load_age = since(at, now);
  if (load.load_age >= Duration(0) && load.load_age <= kReportAgeMax) {
    load.reported_waiting = cell.reported_waiting.load(kRelaxed);
    load.others_running = cell.others_running.load(kRelaxed);
    load.others_waiting = cell.others_waiting.load(kRelaxed);
    load.others_waiting_tokens = Tokens(cell.others_waiting_tokens.load(kRelaxed));
  }
  if (const auto at = cell.rates_at_ns.load(kRelaxed); at > 0) load.rates_age = since(at, now);
  load.prefix_trust = cell.prefix_trust.load(kRelaxed);
  const double rate = cell.prefill_tokens_per_second.load(kRelaxed);
  load.measured.per_prompt_token = rate > 0 ? 1 / rate : 0;
  load.measured.overhead = cell.overhead_seconds.load(kRelaxed);
  load.measured.per_output_token = cell.seconds_per_token.load(kRelaxed);
  load.measured.per_stream = cell.seconds_per_token_per_stream.load(kRelaxed);
  if (const double weight = cell.decode_line.weight.load(kRelaxed); weight > 0) {
    load.measured_at_streams = std::max(1.0, cell.decode_line.x.load(kRelaxed) / weight);
  }
  return load;
}

}  // namespace infermesh::route
