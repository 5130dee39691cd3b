// EndpointIds: gives each engine a small number that stays the same while the engine exists. Owned
// by whoever builds views; one thread. A number that became free rests before it is given to
// another engine, so that late outcomes and prefix entries of the old one do not count for the new
// one. Bounded by kEndpointsMax; full is an error of assign().
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"

namespace infermesh {

class EndpointIds {
 public:
  explicit EndpointIds(Duration rest = 10min, std::size_t ids_max = kEndpointsMax)
      : rest_(rest), ids_max_(ids_max) {}

  // The number of `key` (an engine's name and address), a new one when it has none. Prefers numbers
  // never used, then the one that rests longest. kUnavailable when all are in use or resting.
  Result<EndpointId> assign(std::string_view key, Instant now);

  // Frees the numbers of all keys not in `live`.
  void keep_only(const std::set<std::string, std::less<>>& live, Instant now);

  // Numbers given out for the first time, or anew, since the last call: their load cells need a
  // reset.
  std::vector<EndpointId> take_fresh();

  std::size_t size() const { return ids_.size(); }

 private:
  struct Resting {
    EndpointId id;
    Instant until;
  };

  Duration rest_;
  std::size_t ids_max_;
  std::size_t unused_ = 0;  // the lowest number never given
  std::map<std::string, EndpointId, std::less<>> ids_;
  std::deque<Resting> resting_;  // ordered by until
  std::vector<EndpointId> fresh_;
};

}  // namespace infermesh
