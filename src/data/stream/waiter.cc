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

port::Task<Wake> Waiter::wait() {
  write_on();
  if (is_client_gone()) co_return Wake::kClientGone;
  const Instant due = std::min({phase_deadline, total_deadline, keepalive_due, stall_deadline_});
  if (due < timer_.deadline() || !timer_.armed()) loop_.arm(timer_, due);
  co_await wake.wait();
  if (stopped_) co_return Wake::kStopped;
  write_on();
  if (is_client_gone()) co_return Wake::kClientGone;
  const Instant now = loop_.now();
  if (stall_deadline_ <= now) co_return Wake::kClientStalled;
  if (total_deadline <= now) co_return Wake::kTotalDeadline;
  if (phase_deadline <= now) co_return Wake::kPhaseDeadline;
  if (keepalive_due <= now) co_return Wake::kKeepalive;
  co_return Wake::kProgress;
}

}  // namespace infermesh::data
