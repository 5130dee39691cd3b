// Trouble: who has failed lately, by a key. While somebody has, the successes beside it are news
// to the health machines. One entry a key that ever failed; used on a shard's loop.
#pragma once

#include <unordered_map>

#include "base/time.h"

namespace infermesh::data {

template <typename Key>
class Trouble {
 public:
  explicit Trouble(Duration memory) : memory_(memory) {}

  void note(const Key& key, Instant now) { until_.insert_or_assign(key, now + memory_); }
  bool lately(const Key& key, Instant now) {
    const auto found = until_.find(key);
    if (found == until_.end()) return false;
    if (found->second >= now) return true;
    until_.erase(found);
    return false;
  }

 private:
  Duration memory_;
  std::unordered_map<Key, Instant> until_;
};

}  // namespace infermesh::data
