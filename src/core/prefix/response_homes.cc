#include "core/prefix/response_homes.h"

namespace infermesh::prefix {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr unsigned kEndpointBits = 16;
constexpr std::uint64_t kEndpointMask = (1U << kEndpointBits) - 1;
constexpr std::uint64_t kUsed = 1ULL << kEndpointBits;  // keeps a slot from looking empty

std::uint64_t tag_of(std::uint64_t id_hash) {
  return (id_hash & ~kEndpointMask) | kUsed;
}

}  // namespace

void ResponseHomes::note(std::uint64_t id_hash, EndpointId endpoint) {
  static_assert(sizeof endpoint.value * 8 <= kEndpointBits);
  Set& set = sets_[id_hash % sets_.size()];
  const std::uint64_t tag = tag_of(id_hash);
  // Each moves one place down, over the same id's old entry or the oldest.
  std::uint64_t moving = tag | endpoint.value;
  for (Slot& slot : set) {
    const std::uint64_t before = slot.exchange(moving, kRelaxed);
    if ((before & ~kEndpointMask) == tag) return;
    moving = before;
  }
}

std::optional<EndpointId> ResponseHomes::find(std::uint64_t id_hash) const {
  const std::uint64_t tag = tag_of(id_hash);
  for (const Slot& slot : sets_[id_hash % sets_.size()]) {
    const std::uint64_t value = slot.load(kRelaxed);
    if ((value & ~kEndpointMask) == tag) {
      return EndpointId(static_cast<std::uint16_t>(value & kEndpointMask));
    }
  }
  return std::nullopt;
}

}  // namespace infermesh::prefix
