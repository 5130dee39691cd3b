#include "core/model/endpoint_ids.h"

#include <fmt/format.h>

#include <utility>

namespace infermesh {

Result<EndpointId> EndpointIds::assign(std::string_view key, Instant now) {
  if (const auto known = ids_.find(key); known != ids_.end()) return known->second;
  EndpointId id;
  if (unused_ < ids_max_) {
    id = EndpointId(static_cast<std::uint16_t>(unused_++));
  } else if (!resting_.empty() && resting_.front().until <= now) {
    id = resting_.front().id;
    resting_.pop_front();
  } else {
    return fail(
        ErrorCode::kUnavailable,
        fmt::format("no place for another engine: {} are in use and {} left less than {} ago",
                    ids_.size(), resting_.size(), format_duration(rest_)));
  }
  ids_.emplace(key, id);
  fresh_.push_back(id);
  return id;
}

void EndpointIds::keep_only(const std::set<std::string, std::less<>>& live, Instant now) {
  for (auto entry = ids_.begin(); entry != ids_.end();) {
    if (live.contains(entry->first)) {
      ++entry;
      continue;
    }
    resting_.push_back({entry->second, now + rest_});
    entry = ids_.erase(entry);
  }
}

std::vector<EndpointId> EndpointIds::take_fresh() {
  return std::exchange(fresh_, {});
}

}  // namespace infermesh
