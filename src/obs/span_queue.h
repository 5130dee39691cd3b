// SpanQueue: finished spans on their way from the shards to the exporter. Bounded: a span that
// finds it full is dropped and counted, so a slow collector costs traces, never requests. From any
// thread.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "core/model/span.h"

namespace infermesh::obs {

class SpanQueue {
 public:
  explicit SpanQueue(std::size_t spans_max) : spans_max_(spans_max) {}

  void put(Span span);
  std::vector<Span> take(std::size_t at_most);  // the oldest first
  std::uint64_t dropped() const;                // since the beginning

 private:
  const std::size_t spans_max_;
  mutable std::mutex mutex_;
  std::deque<Span> spans_;
  std::uint64_t dropped_ = 0;
};

}  // namespace infermesh::obs
