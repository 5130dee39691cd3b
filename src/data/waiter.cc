#include "data/waiter.h"

#include <algorithm>

namespace infermesh::data {

port::Task<Wake> Waiter::wait() {
  const Instant due = std::min({phase_deadline, total_deadline, keepalive_due});
  if (due < timer_.deadline() || !timer_.armed()) loop_.arm(timer_, due);
  if (watch_client && client_.is_gone(scratch_, input_max_)) co_return Wake::kClientGone;
  if (client_.out.failed()) co_return Wake::kClientGone;
  co_await wake.wait();
  if (stopped_) co_return Wake::kStopped;
  if (watch_client && client_.is_gone(scratch_, input_max_)) co_return Wake::kClientGone;
  if (client_.out.failed()) co_return Wake::kClientGone;
  const Instant now = loop_.now();
  if (total_deadline <= now) co_return Wake::kTotalDeadline;
  if (phase_deadline <= now) co_return Wake::kPhaseDeadline;
  if (keepalive_due <= now) co_return Wake::kKeepalive;
  co_return Wake::kProgress;
}

}  // namespace infermesh::data
