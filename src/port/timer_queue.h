// TimerQueue: the timers of one loop, real or simulated. Moving a deadline later is a store: the
// queue notices when the old one comes up. A binary heap by (deadline, order of arming), so equal
// deadlines fire in that order.
#pragma once

#include <cstdint>
#include <unordered_set>
#include <vector>

#include "port/loop.h"

namespace infermesh::port {

class TimerQueue {
 public:
  ~TimerQueue();
  void arm(Timer& timer, Instant deadline);
  void forget(Timer& timer);
  Instant next() const { return heap_.empty() ? kNever : heap_.front().at; }
  // Fires every timer due at `now`. Timers may be armed, disarmed and destroyed from within.
  void run(Instant now);
  std::size_t size() const { return heap_.size(); }

 private:
  struct Entry {
    Instant at;
    std::uint64_t order;
    Timer* timer;  // not followed once `order` is forgotten
  };
  static bool later(const Entry& a, const Entry& b) {
    return a.at != b.at ? a.at > b.at : a.order > b.order;
  }
  void push(Timer& timer, Instant at);

  std::vector<Entry> heap_;
  std::uint64_t order_ = 0;
  std::unordered_set<std::uint64_t>
      forgotten_;  // orders of entries still in the heap whose timer is gone
};

}  // namespace infermesh::port
