#include "data/admission.h"

#include <fmt/format.h>

#include <utility>

#include "base/assert.h"

namespace infermesh::data {
namespace {

constexpr Duration kTick = 10ms;  // how late room freed on another shard may be noticed

}  // namespace

Admission::Admission(port::Loop& loop) : loop_(loop), tick_([this] { retry_all(); }) {}

Admission::Queue& Admission::queue_of(const Pool& pool) {
  auto& queue = queues_[pool.id];
  if (!queue) queue = std::make_unique<Queue>(pool.spec.queue_max);
  return *queue;
}

Admission::Ticket::~Ticket() {
  if (state_ == State::kWaiting) admission_.queues_.at(pool_)->remove(place_);
  // A grant that was not used is passed on.
  if (state_ == State::kGranted) admission_.freed(pool_);
}

Result<void> Admission::Ticket::enter(const Pool& pool, Priority priority, Instant deadline) {
  Queue& queue = admission_.queue_of(pool);
  auto offered = queue.offer(this, priority, deadline, admit::Capacity::kNone);
  if (offered.pushed_out) {
    Ticket& gone = *offered.pushed_out->ticket;
    gone.state_ = State::kShed;
    gone.wake_.set();
  }
  if (offered.admission == admit::Admission::kRefused) {
    state_ = State::kOutside;
    return fail(ErrorCode::kQueueFull,
                fmt::format("All engines of pool {} are busy and {} requests wait already.",
                            pool.spec.name, pool.spec.queue_max));
  }
  pool_ = pool.id;
  place_ = offered.place;
  state_ = State::kWaiting;
  if (!admission_.tick_.armed())
    admission_.loop_.arm(admission_.tick_, admission_.loop_.now() + kTick);
  return {};
}

bool Admission::has_waiting(PoolId pool) const {
  return waiting(pool) > 0;
}

std::size_t Admission::waiting(PoolId pool) const {
  const auto found = queues_.find(pool);
  return found == queues_.end() ? 0 : found->second->size();
}

void Admission::grant(Queue& queue) {
  const auto ticket = queue.next(loop_.now());
  if (!ticket) return;
  (*ticket)->state_ = Ticket::State::kGranted;
  (*ticket)->wake_.set();
}

void Admission::freed(PoolId pool) {
  const auto found = queues_.find(pool);
  if (found != queues_.end()) grant(*found->second);
}

void Admission::retry_all() {
  bool somebody = false;
  for (auto& [pool, queue] : queues_) {
    grant(*queue);
    somebody = somebody || queue->size() > 0;
  }
  if (somebody) loop_.arm(tick_, loop_.now() + kTick);
}

}  // namespace infermesh::data
