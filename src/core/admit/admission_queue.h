// AdmissionQueue: requests of one pool that wait because every engine is full. Bounded, by priority
// and within one priority first come, first served; each with a deadline. Owned by a shard, one a
// pool, used on its loop.
//
// A full queue makes room for a higher priority by giving up the newest entry of the lowest
// one; else the newcomer is refused. Free capacity goes to the priorities by
// weighted turns 8 : 4 : 1, so that the low one is slow, never starved. Nothing is handed out after
// its deadline: who waits minds its own. Ticket is any movable value.
#pragma once

#include <array>
#include <cstdint>
#include <iterator>
#include <list>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/time.h"
#include "core/admit/turns.h"
#include "core/model/request_facts.h"

namespace infermesh::admit {

enum class Capacity : std::uint8_t { kFree, kNone };
enum class Admission : std::uint8_t { kAdmitted, kQueued, kRefused };

template <typename Ticket>
class AdmissionQueue {
 public:
  struct Offered {
    Admission admission;
    std::uint64_t place = 0;           // names the entry for remove(), when queued
    std::optional<Ticket> back;        // the ticket again, unless it was queued
    std::optional<Ticket> pushed_out;  // gave its place to this one
  };

  explicit AdmissionQueue(std::size_t queue_max) : queue_max_(queue_max) {}

  // A newcomer passes at once when there is capacity and nobody of its priority or above waits.
  Offered offer(Ticket ticket, Priority priority, Instant deadline, Capacity capacity) {
    if (capacity == Capacity::kFree && !waits_at_or_above(priority)) {
      return {Admission::kAdmitted, 0, std::move(ticket), std::nullopt};
    }
    std::optional<Ticket> pushed_out;
    if (size() >= queue_max_) {
      pushed_out = push_out_below(priority);
      if (!pushed_out) return {Admission::kRefused, 0, std::move(ticket), std::nullopt};
    }
    return {Admission::kQueued, add(std::move(ticket), priority, deadline), std::nullopt,
            std::move(pushed_out)};
  }

  // An engine can take one more: who is next. Entries past their deadline are passed over.
  std::optional<Ticket> next(Instant now) {
    for (const Priority priority : turns_.order()) {
      Lane& entries = lane(priority);
      for (auto entry = entries.begin(); entry != entries.end(); ++entry) {
        if (entry->deadline <= now) continue;
        turns_.took(priority);
        drain_.on_departure(now);
        return take(entry);
      }
    }
    return std::nullopt;
  }

  // Who would be next of those that `accept` takes. It keeps its place: for a try that may come to
  // nothing. When it comes to something, depart() follows.
  template <typename Accept>
  std::optional<Ticket> peek(Instant now, Accept accept) const {
    for (const Priority priority : turns_.order()) {
      for (const Entry& entry : lanes_[static_cast<std::size_t>(priority)]) {
        if (entry.deadline > now && accept(entry.ticket)) return entry.ticket;
      }
    }
    return std::nullopt;
  }

  // An entry that peek() named has been served.
  void depart(std::uint64_t place, Instant now) {
    const auto found = places_.find(place);
    if (found == places_.end()) return;
    turns_.took(found->second->priority);
    drain_.on_departure(now);
    take(found->second);
  }

  // The client went away. nullopt when the entry is no longer there.
  std::optional<Ticket> remove(std::uint64_t place) {
    const auto found = places_.find(place);
    if (found == places_.end()) return std::nullopt;
    return take(found->second);
  }

  void set_queue_max(std::size_t queue_max) { queue_max_ = queue_max; }  // of newcomers
  std::size_t size() const { return places_.size(); }
  std::size_t size(Priority priority) const {
    return lanes_[static_cast<std::size_t>(priority)].size();
  }

  // How long until a newcomer would probably find a place: for retry-after-ms.
  Duration retry_after(Instant now) const { return drain_.time_for(size() + 1, now); }

 private:
  struct Entry {
    std::uint64_t place;
    Ticket ticket;
    Priority priority;
    Instant deadline;
  };
  using Lane = std::list<Entry>;
  using Where = typename Lane::iterator;

  Lane& lane(Priority priority) { return lanes_[static_cast<std::size_t>(priority)]; }

  bool waits_at_or_above(Priority priority) const {
    for (auto p = static_cast<std::size_t>(priority); p < kPriorities; ++p) {
      if (!lanes_[p].empty()) return true;
    }
    return false;
  }

  std::uint64_t add(Ticket ticket, Priority priority, Instant deadline) {
    const std::uint64_t place = ++places_made_;
    Lane& entries = lane(priority);
    entries.push_back(Entry{place, std::move(ticket), priority, deadline});
    const Where where = std::prev(entries.end());
    places_.emplace(place, where);
    return place;
  }

  Ticket take(Where where) {
    places_.erase(where->place);
    Ticket ticket = std::move(where->ticket);
    lane(where->priority).erase(where);
    return ticket;
  }

  std::optional<Ticket> push_out_below(Priority priority) {
    for (std::size_t p = 0; p < static_cast<std::size_t>(priority); ++p) {
      if (lanes_[p].empty()) continue;
      return take(std::prev(lanes_[p].end()));
    }
    return std::nullopt;
  }

  std::size_t queue_max_;
  std::uint64_t places_made_ = 0;
  std::array<Lane, kPriorities> lanes_;
  std::unordered_map<std::uint64_t, Where> places_;
  Turns turns_;
  DrainRate drain_;
};

}  // namespace infermesh::admit
