// DecisionRing: the records of the last requests of one shard, for explain. Fixed capacity; the
// oldest gives way. A record is found from the moment its request has decided something until it is
// overwritten.
#pragma once

#include <string_view>
#include <vector>

#include "core/model/decision.h"

namespace infermesh::data {

class DecisionRing {
 public:
  explicit DecisionRing(std::size_t capacity) : capacity_(capacity) {}

  void put(DecisionRecord record);
  const DecisionRecord* find(std::string_view request_id) const;
  std::vector<const DecisionRecord*> recent(std::size_t limit) const;  // newest first

 private:
  std::size_t capacity_;
  std::size_t next_ = 0;
  std::vector<DecisionRecord> records_;
};

}  // namespace infermesh::data
