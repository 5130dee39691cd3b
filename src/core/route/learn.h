// learn: what an attempt's outcome teaches. The twin of decide; called once for every attempt that
// was sent.
//
// Updates in the load table the engine's prefill pace, time per token by streams, and how far the
// prefix index can be trusted there; in the shard's state the model's typical output and prompt.
// Failures and cancelled attempts teach nothing about speed (they are health's business).
#pragma once

#include "base/time.h"
#include "core/model/decision.h"
#include "core/model/load_table.h"
#include "core/route/route_state.h"

namespace infermesh::route {

// The half of it that does not wait for the end: how long the engine worked on one prompt. Called
// by InFlight at the first byte, so that a new or slower engine is known as soon as it answers.
void learn_prefill(LoadCell& cell, Tokens uncached, Duration service, Instant now);

void learn(const Outcome& outcome, const Decision& decision, LoadTable& load, RouteState& state,
           Instant now);

}  // namespace infermesh::route
