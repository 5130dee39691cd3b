#include "data/shard/decision_ring.h"

#include <algorithm>

namespace infermesh::data {

void DecisionRing::put(DecisionRecord record) {
  if (capacity_ == 0) return;
  if (records_.size() < capacity_) {
    records_.push_back(std::move(record));
  } else {
    records_[next_] = std::move(record);
  }
  next_ = (next_ + 1) % capacity_;
}

// Explaining is rare and the ring is small: a scan beats an index that every request would have to
// keep.
const DecisionRecord* DecisionRing::find(std::string_view request_id) const {
  for (const DecisionRecord* record : recent(records_.size())) {
    if (record->request_id == request_id) return record;
  }
  return nullptr;
}

std::vector<const DecisionRecord*> DecisionRing::recent(std::size_t limit) const {
  std::vector<const DecisionRecord*> found;
  const std::size_t count = std::min(limit, records_.size());
  for (std::size_t back = 1; back <= count; ++back) {
    found.push_back(&records_[(next_ + records_.size() - back) % records_.size()]);
  }
  return found;
}

}  // namespace infermesh::data
