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

Admission::Line::~Line() {
  if (load) load->waiting.fetch_sub(accounted, std::memory_order_relaxed);
}

void Admission::Line::make_room(const Pool& of) {
  const std::int32_t others = load ? load->waiting.load(std::memory_order_relaxed) - accounted : 0;
  const auto taken = static_cast<std::size_t>(std::max(others, 0));
  queue.set_queue_max(of.spec.queue_max > taken ? of.spec.queue_max - taken : 0);
}

void Admission::Line::account() {
  if (!load) return;
  const auto size = static_cast<std::int32_t>(queue.size());
  load->waiting.fetch_add(size - accounted, std::memory_order_relaxed);
  accounted = size;
}

void Admission::adopt(const MeshView& view) {
  std::vector<std::shared_ptr<Line>> before = std::move(lines_);
  lines_.clear();
  for (const Pool& pool : view.pools) {
    const auto old = std::find_if(before.begin(), before.end(), [&](const auto& line) {
      return line && line->pool == pool.spec.name;
    });
    std::shared_ptr<Line> line = old == before.end() ? std::make_shared<Line>() : std::move(*old);
    line->pool = pool.spec.name;
    if (line->load != pool.load) {
      if (line->load) line->load->waiting.fetch_sub(line->accounted, std::memory_order_relaxed);
      line->accounted = 0;
      line->load = pool.load;
      line->account();
    }
    lines_.push_back(std::move(line));
  }
  for (const auto& gone : before) {
    if (gone) begin_round(*gone);
  }
  retry_all();
}

Admission::Ticket::~Ticket() {
  leave();
}

void Admission::Ticket::leave() {
  const State state = std::exchange(state_, State::kOutside);
  const auto line = std::exchange(line_, nullptr);
  if (!line) return;
  if (state == State::kWaiting) line->queue.remove(place_);
  if (state == State::kGranted) line->queue.depart(place_, admission_.loop_.now());
  line->account();
  if (state == State::kGranted)
    admission_.begin_round(*line);  // there may be room for more than one
}

Result<void> Admission::Ticket::enter(const Pool& pool, const Model& model, Priority priority,
                                      Instant deadline) {
  IM_ASSERT(pool.id.value < admission_.lines_.size());  // the view is adopted before it is used
  const std::shared_ptr<Line>& line = admission_.lines_[pool.id.value];
  if (state_ == State::kGranted && line_ == line) {
    state_ = State::kWaiting;
    line->full.push_back(model_);
    admission_.call_next(*line);
    return {};
  }
  leave();
  line->make_room(pool);
  auto offered = line->queue.offer(this, priority, deadline, admit::Capacity::kNone);
  if (offered.pushed_out) {
    Ticket& gone = **offered.pushed_out;
    gone.state_ = State::kShed;
    gone.wake_.set();
  }
  if (offered.admission == admit::Admission::kRefused) {
    Error full{ErrorCode::kQueueFull,
               fmt::format("All engines of pool {} are busy and {} requests wait already.",
                           pool.spec.name, pool.spec.queue_max),
               {},
               line->queue.retry_after(admission_.loop_.now())};
    return std::unexpected(std::move(full));
  }
  line->account();
  line_ = line;
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
  return pool.value < lines_.size() ? lines_[pool.value]->queue.size() : 0;
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
  if (pool.value < lines_.size()) begin_round(*lines_[pool.value]);
}

void Admission::retry_all() {
  bool somebody = false;
  for (const auto& line : lines_) {
    begin_round(*line);
    somebody = somebody || line->queue.size() > 0;
  }
  if (somebody) loop_.arm(tick_, loop_.now() + kTick);
}

}  // namespace infermesh::data
