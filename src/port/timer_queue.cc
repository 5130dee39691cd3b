#include "port/timer_queue.h"

#include <algorithm>

namespace infermesh::port {

Timer::~Timer() {
  if (queue_ != nullptr) queue_->forget(*this);
}

TimerQueue::~TimerQueue() {
  for (Entry& entry : heap_) {
    if (entry.timer != nullptr) entry.timer->queue_ = nullptr;
  }
}

void TimerQueue::push(Timer& timer, Instant at) {
  timer.queued_ = at;
  timer.queue_ = this;
  heap_.push_back({at, order_++, &timer});
  std::push_heap(heap_.begin(), heap_.end(), later);
}

void TimerQueue::arm(Timer& timer, Instant deadline) {
  timer.deadline_ = deadline;
  if (deadline == kNever || deadline >= timer.queued_) return;  // run() finds the later deadline by itself
  if (timer.queued_ != kNever) forget(timer);
  timer.deadline_ = deadline;
  push(timer, deadline);
}

void TimerQueue::forget(Timer& timer) {
  timer.deadline_ = kNever;
  if (timer.queued_ == kNever) return;
  for (Entry& entry : heap_) {
    if (entry.timer == &timer) {
      entry.timer = nullptr;
      ++dead_;
      break;
    }
  }
  timer.queued_ = kNever;
  timer.queue_ = nullptr;
  if (dead_ * 2 > heap_.size()) {
    std::erase_if(heap_, [](const Entry& entry) { return entry.timer == nullptr; });
    std::make_heap(heap_.begin(), heap_.end(), later);
    dead_ = 0;
  }
}

void TimerQueue::run(Instant now) {
  while (!heap_.empty() && heap_.front().at <= now) {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    Timer* timer = heap_.back().timer;
    heap_.pop_back();
    if (timer == nullptr) {
      --dead_;
      continue;
    }
    timer->queued_ = kNever;
    timer->queue_ = nullptr;
    if (timer->deadline_ == kNever) continue;
    if (timer->deadline_ > now) {
      push(*timer, timer->deadline_);
      continue;
    }
    timer->deadline_ = kNever;
    timer->fire_();
  }
}

}  // namespace infermesh::port
