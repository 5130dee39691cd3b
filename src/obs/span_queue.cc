#include "obs/span_queue.h"

#include <algorithm>
#include <iterator>

namespace infermesh::obs {

void SpanQueue::put(Span span) {
  const std::lock_guard lock(mutex_);
  if (spans_.size() >= spans_max_) {
    ++dropped_;
    return;
  }
  spans_.push_back(std::move(span));
}

std::vector<Span> SpanQueue::take(std::size_t at_most) {
  const std::lock_guard lock(mutex_);
  const auto end = spans_.begin() + static_cast<std::ptrdiff_t>(std::min(at_most, spans_.size()));
  std::vector<Span> taken(std::make_move_iterator(spans_.begin()), std::make_move_iterator(end));
  spans_.erase(spans_.begin(), end);
  return taken;
}

std::uint64_t SpanQueue::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

}  // namespace infermesh::obs
