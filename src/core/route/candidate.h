// Candidate: one endpoint as a decision sees it. All facts are read once, at the start, so that
// filter, policy and explanation speak of the same moment.
#pragma once

#include <cstdint>
#include <span>

#include "base/ids.h"
#include "base/time.h"
#include "core/model/decision.h"
#include "core/model/load_table.h"
#include "core/model/mesh_view.h"

namespace infermesh::route {

// Speed of an engine, as measured or as assumed. Seconds for one unit each.
struct Pace {
  double overhead = 0;          // of a request's prefill that no token explains
  double per_prompt_token = 0;  // of prefill
  double per_output_token = 0;  // of one stream alone
  double per_stream = 0;        // what each further stream adds to per_output_token
};

// The load cell, read once.
struct Load {
  std::int32_t in_flight = 0;
  std::int32_t streams = 0;
  Tokens prefill_ahead{0};
  Duration prefill_elapsed{0};         // spent on the prompt in work
  Duration unseen_prefill{0};          // left of prompts whose first token cannot be seen
  std::int32_t reported_waiting = -1;  // negative: unknown or stale
  std::int32_t others_running = -1;    // other clients' requests; negative: unknown or stale
  std::int32_t others_waiting = -1;
  Tokens others_waiting_tokens{-1};  // of those; negative: not told or stale
  Duration load_age{-1};             // negative: never reported
  Duration rates_age{-1};            // negative: never measured
  float prefix_trust = 1;
  Pace measured;                   // zeros: not measured
  double measured_at_streams = 1;  // mean number of streams that per_output_token comes from

  std::int32_t waiting() const { return in_flight > streams ? in_flight - streams : 0; }
};

struct Candidate {
  const Endpoint* endpoint = nullptr;
  Rejection rejection = Rejection::kNone;
  bool half_open = false;
  bool suspect = false;
  Load load;
  Tokens cached{0};
  Tokens uncached{0};
  double fresh = 0;  // how far its measured pace counts, 0..1; written by pool_pace
  // Written by the policy; lower is better.
  double score = 0;
  double queue_seconds = 0;
  double slot_seconds = 0;
  double prefill_seconds = 0;
  double decode_seconds = 0;

  EndpointId id() const { return endpoint->id; }
};

// Reports older than this say nothing.
constexpr Duration kReportAgeMax = 5s;

Load read_load(const LoadCell& cell, Instant now);

}  // namespace infermesh::route
