#include "data/stream/waiter.h"

#include <algorithm>

namespace infermesh::data {

bool Waiter::is_client_gone() {
  if (client_.out.failed()) return true;
  return watch_client && client_.is_gone(scratch_, limits_.input_max);
}

// Sends on what the client had no room for, and watches that it goes on reading.
void Waiter::write_on() {
  OutBuffer& out = client_.out;
  if (out.blocked() && client_.stream.may_write()) out.flush();
  if (!out.blocked()) {
    stall_deadline_ = kNever;
    kept_seen_ = 0;
    return;
  }
  const bool moved = stall_deadline_ == kNever || out.kept_bytes() < kept_seen_;
  if (moved) stall_deadline_ = loop_.now() + limits_.stall_timeout;
  kept_seen_ = out.kept_bytes();
}

bool Waiter::begin() {
  write_on();
  if (is_client_gone()) return false;
  const Instant due = std::min({phase_deadline, total_deadline, keepalive_due, stall_deadline_});
  if (due < timer_.deadline() || !timer_.armed()) loop_.arm(timer_, due);
  return true;
}

Wake Waiter::outcome() {
  if (stopped_) return Wake::kStopped;
  write_on();
  if (is_client_gone()) return Wake::kClientGone;
  const Instant now = loop_.now();
  if (stall_deadline_ <= now) return Wake::kClientStalled;
  if (total_deadline <= now) return Wake::kTotalDeadline;
  if (phase_deadline <= now) return Wake::kPhaseDeadline;
  if (keepalive_due <= now) return Wake::kKeepalive;
  return Wake::kProgress;
}

}  // namespace infermesh::data
