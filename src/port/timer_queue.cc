#include "port/timer_queue.h"

#include <algorithm>

namespace infermesh::port {

Timer::~Timer() {
  if (queue_ != nullptr) queue_->forget(*this);
}

TimerQueue::~TimerQueue() {
  for (Entry& entry : heap_) {
    if (!forgotten_.contains(entry.order)) entry.timer->queue_ = nullptr;
  }
}

void TimerQueue::push(Timer& timer, Instant at) {
  timer.queued_ = at;
  timer.queue_ = this;
  timer.order_ = order_++;
  heap_.push_back({at, timer.order_, &timer});
  std::push_heap(heap_.begin(), heap_.end(), later);
}

void TimerQueue::arm(Timer& timer, Instant deadline) {
  timer.deadline_ = deadline;
  if (deadline == kNever || deadline >= timer.queued_)
    return;  // run() finds the later deadline by itself
  if (timer.queued_ != kNever) forget(timer);
  timer.deadline_ = deadline;
  push(timer, deadline);
}

void TimerQueue::forget(Timer& timer) {
  timer.deadline_ = kNever;
  timer.queue_ = nullptr;
  if (timer.queued_ == kNever) return;
  timer.queued_ = kNever;
  forgotten_.insert(timer.order_);
  if (forgotten_.size() * 2 > heap_.size() + 64) {
    std::erase_if(heap_, [this](const Entry& entry) { return forgotten_.contains(entry.order); });
    std::make_heap(heap_.begin(), heap_.end(), later);
    forgotten_.clear();
  }
}

void TimerQueue::run(Instant now) {
  while (!heap_.empty() && heap_.front().at <= now) {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const Entry entry = heap_.back();
    heap_.pop_back();
    if (forgotten_.erase(entry.order) > 0) continue;
    Timer& timer = *entry.timer;
    timer.queued_ = kNever;
    timer.queue_ = nullptr;
    if (timer.deadline_ == kNever) continue;
    if (timer.deadline_ > now) {
      push(timer, timer.deadline_);
      continue;
    }
    timer.deadline_ = kNever;
    timer.fire_();
  }
}

}  // namespace infermesh::port
