// The arithmetic of the admission queue: whose turn it is, and how fast the queue empties.
#pragma once

#include <array>
#include <cstdint>

#include "base/time.h"
#include "core/model/request_facts.h"

namespace infermesh::admit {

// Weighted turns between priorities, high 8 : normal 4 : low 1 (stride scheduling, Waldspurger and
// Weihl 1995). A priority that had nothing waiting does not save up turns.
class Turns {
 public:
  // Whom to ask, first to last.
  std::array<Priority, kPriorities> order() const;
  void took(Priority priority);

 private:
  std::array<std::uint64_t, kPriorities> pass_{};
};

// Departures per second, as a decaying mean of the gaps between them.
class DrainRate {
 public:
  void on_departure(Instant now);
  // Time in which `count` departures are expected, within 100 ms and 30 s; 1 s while nothing is
  // known.
  Duration time_for(std::size_t count, Instant now) const;

 private:
  double gap_seconds_ = 0;  // 0: not known
  Instant last_{};
};

}  // namespace infermesh::admit
