#include "data/shard/admission.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace infermesh::data {
namespace {

constexpr Duration kTick = 10ms;  // how late room freed on another shard may be noticed

}  // namespace

Admission::Admission(port::Loop& loop) : loop_(loop), tick_([this] { retry_all(); }) {}

Admission::Line& Admission::line_of(const Pool& pool) {
  auto& line = lines_[pool.id];
  if (!line) line = std::make_unique<Line>(pool.spec.queue_max);
  return *line;
}

Admission::Ticket::~Ticket() {
  leave();
}

void Admission::Ticket::leave() {
  const State state = std::exchange(state_, State::kOutside);
  if (state == State::kWaiting) admission_.lines_.at(pool_)->queue.remove(place_);
  if (state == State::kGranted) {
    admission_.lines_.at(pool_)->queue.depart(place_, admission_.loop_.now());
    admission_.freed(pool_);  // there may be room for more than one
  }
}

Result<void> Admission::Ticket::enter(const Pool& pool, const Model& model, Priority priority,
                                      Instant deadline) {
  Line& line = admission_.line_of(pool);
  if (state_ == State::kGranted && pool_ == pool.id) {
    state_ = State::kWaiting;
    line.full.push_back(model_);
    admission_.call_next(line);
    return {};
  }
  leave();
  auto offered = line.queue.offer(this, priority, deadline, admit::Capacity::kNone);
  if (offered.pushed_out) {
    Ticket& gone = *offered.pushed_out->ticket;
    gone.state_ = State::kShed;
    gone.wake_.set();
  }
  if (offered.admission == admit::Admission::kRefused) {
    return fail(ErrorCode::kQueueFull,
                fmt::format("All engines of pool {} are busy and {} requests wait already.",
                            pool.spec.name, pool.spec.queue_max));
  }
  pool_ = pool.id;
  model_ = model.id;
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
  const auto found = lines_.find(pool);
  return found == lines_.end() ? 0 : found->second->queue.size();
}

void Admission::begin_round(Line& line) {
  line.full.clear();
  call_next(line);
}

void Admission::call_next(Line& line) {
  const auto ticket = line.queue.peek(loop_.now(), [&](const Ticket* waiting) {
    return std::find(line.full.begin(), line.full.end(), waiting->model_) == line.full.end();
  });
  if (!ticket) return;
  (*ticket)->state_ = Ticket::State::kGranted;
  (*ticket)->wake_.set();
}

void Admission::freed(PoolId pool) {
  const auto found = lines_.find(pool);
  if (found != lines_.end()) begin_round(*found->second);
}

void Admission::retry_all() {
  bool somebody = false;
  for (auto& [pool, line] : lines_) {
    begin_round(*line);
    somebody = somebody || line->queue.size() > 0;
  }
  if (somebody) loop_.arm(tick_, loop_.now() + kTick);
}

}  // namespace infermesh::data
