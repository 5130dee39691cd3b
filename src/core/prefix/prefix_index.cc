#include "core/prefix/prefix_index.h"

#include <algorithm>
#include <bit>
#include <memory>

#include "base/assert.h"

namespace infermesh::prefix {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// Data word, from the top: endpoint 12 | epoch 6 | written 22, in units of 2^28 ns | owner clock
// 23, in units of 16 blocks | valid 1. Times and clocks are compared modulo their width: 13 days,
// 134 million blocks.
constexpr unsigned kEndpointShift = 52, kEpochShift = 46, kTimeShift = 24, kClockShift = 1;
constexpr std::uint64_t kEpochMask = (1U << 6) - 1;
constexpr std::uint64_t kTimeMask = (1U << 22) - 1;
constexpr std::uint64_t kClockMask = (1U << 23) - 1;
constexpr unsigned kTimeUnitBits = 28, kClockUnitBits = 4;

std::uint64_t time_units(Instant now) {
  return (static_cast<std::uint64_t>(now.time_since_epoch().count()) >> kTimeUnitBits) & kTimeMask;
}

std::uint64_t age_units(std::uint64_t data, Instant now) {
  return (time_units(now) - (data >> kTimeShift)) & kTimeMask;
}

unsigned endpoint_of(std::uint64_t data) {
  return static_cast<unsigned>(data >> kEndpointShift);
}

std::uint64_t load(std::uint64_t& word) {
  return std::atomic_ref(word).load(kRelaxed);
}
void store(std::uint64_t& word, std::uint64_t value) {
  std::atomic_ref(word).store(value, kRelaxed);
}

std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93ULL;
  x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93ULL;
  return x ^ (x >> 32);
}

}  // namespace

PrefixIndex::PrefixIndex(Bytes budget, Duration ttl) : ttl_(ttl) {
  const auto wanted = static_cast<std::uint64_t>(std::max<std::int64_t>(budget.value, 64 << 10));
  buckets_ = std::bit_floor(wanted / kBucketBytes);
  // calloc hands out untouched zero pages; an all-zero atomic word is an empty slot.
  memory_.reset(std::calloc(buckets_ + 1, kBucketBytes));
  IM_ASSERT(memory_ != nullptr);
  void* start = memory_.get();
  std::size_t space = (buckets_ + 1) * kBucketBytes;
  slots_ = static_cast<Slot*>(std::align(kBucketBytes, buckets_ * kBucketBytes, start, space));
  IM_ASSERT(slots_ != nullptr);
}

PrefixIndex::Slot* PrefixIndex::bucket(BlockHash block, std::uint32_t group) const {
  const std::uint64_t place = mix(block + group * 0x9e3779b97f4a7c15ULL);
  return slots_ + (place & (buckets_ - 1)) * kSlots;
}

bool PrefixIndex::alive(std::uint64_t data, Instant now) const {
  if ((data & 1) == 0) return false;
  const Owner& owner = owners_[endpoint_of(data)];
  if (((data >> kEpochShift) & kEpochMask) != (owner.epoch.load(kRelaxed) & kEpochMask))
    return false;
  const std::uint64_t limit = static_cast<std::uint64_t>(ttl_.count()) >> kTimeUnitBits;
  if (age_units(data, now) > limit) return false;
  const std::uint64_t capacity = owner.capacity.load(kRelaxed);
  if (capacity == 0) return true;
  const std::uint64_t clock = owner.inserted.load(kRelaxed) >> kClockUnitBits;
  return ((clock - (data >> kClockShift)) & kClockMask) <= (capacity >> kClockUnitBits);
}

// True when the endpoint did not hold the block before.
bool PrefixIndex::put(BlockHash block, EndpointId endpoint, std::uint64_t data, Instant now) {
  Slot* slots = bucket(block, endpoint.value / kGroup);
  Slot* victim = slots;
  std::uint64_t victim_age = 0;
  for (Slot* slot = slots; slot != slots + kSlots; ++slot) {
    const std::uint64_t held = load(slot->data);
    const bool usable = alive(held, now);
    if (endpoint_of(held) == endpoint.value && (held & 1) != 0 &&
        (load(slot->tag) ^ held) == block) {
      store(slot->tag, block ^ data);
      store(slot->data, data);
      return !usable;
    }
    const std::uint64_t age = usable ? age_units(held, now) + 1 : kTimeMask + 2;
    if (age > victim_age) {
      victim = slot;
      victim_age = age;
    }
  }
  store(victim->tag, block ^ data);
  store(victim->data, data);
  return true;
}

void PrefixIndex::insert(std::span<const BlockHash> blocks, EndpointId endpoint, Instant now) {
  IM_ASSERT(endpoint.value < kEndpointsMax);
  Owner& owner = owners_[endpoint.value];
  const std::uint64_t clock = owner.inserted.load(kRelaxed) >> kClockUnitBits;
  const std::uint64_t data = (static_cast<std::uint64_t>(endpoint.value) << kEndpointShift) |
                             ((owner.epoch.load(kRelaxed) & kEpochMask) << kEpochShift) |
                             (time_units(now) << kTimeShift) |
                             ((clock & kClockMask) << kClockShift) | 1;
  constexpr std::size_t kAhead = 8;  // buckets fetched ahead: each is a cache miss of its own
  std::uint64_t fresh = 0;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    if (i + kAhead < blocks.size()) {
      const Slot* next = bucket(blocks[i + kAhead], endpoint.value / kGroup);
      __builtin_prefetch(next, 1);
      __builtin_prefetch(next + kSlots / 2, 1);
    }
    if (put(blocks[i], endpoint, data, now)) ++fresh;
  }
  owner.inserted.fetch_add(fresh, kRelaxed);
}

// Bit i: the endpoint group * kGroup + i holds the block.
std::uint64_t PrefixIndex::holders(BlockHash block, std::uint32_t group, Instant now) const {
  Slot* slots = bucket(block, group);
  std::uint64_t found = 0;
  for (Slot* slot = slots; slot != slots + kSlots; ++slot) {
    const std::uint64_t data = load(slot->data);
    if ((load(slot->tag) ^ data) != block || endpoint_of(data) / kGroup != group) continue;
    if (alive(data, now)) found |= 1ULL << (endpoint_of(data) % kGroup);
  }
  return found;
}

// Of the `wanted` members, those that hold the first `count` blocks. Holding block n + 1 implies
// holding block n, so a block pushed out of the middle of a run is forgiven when the next one is
// there.
std::uint64_t PrefixIndex::holders_of(const Probe& probe, std::uint32_t count,
                                      std::uint64_t wanted) const {
  std::uint64_t found = holders(probe.blocks[count - 1], probe.group, probe.now);
  if ((wanted & ~found) != 0 && count < probe.blocks.size()) {
    found |= holders(probe.blocks[count], probe.group, probe.now);
  }
  return found & wanted;
}

// Gallops: the counts double until nobody holds that many. Whoever drops out on the way has the end
// of its run between two counts and finds it by bisection.
void PrefixIndex::match_group(const Probe& probe, std::span<const EndpointId> members,
                              std::span<std::uint32_t> cached) const {
  const auto total = static_cast<std::uint32_t>(probe.blocks.size());
  std::uint64_t running = 0;
  for (const EndpointId member : members) running |= 1ULL << (member.value % kGroup);
  std::array<std::uint32_t, kGroup> runs{};
  std::uint32_t held = 0;
  for (std::uint32_t step = 1; running != 0 && held < total; step *= 2) {
    const std::uint32_t next = std::min(held + step, total);
    const std::uint64_t found = holders_of(probe, next, running);
    for (std::uint64_t lost = running & ~found; lost != 0; lost &= lost - 1) {
      std::uint32_t low = held, high = next;
      while (high - low > 1) {
        const std::uint32_t middle = low + (high - low) / 2;
        (holders_of(probe, middle, lost & -lost) != 0 ? low : high) = middle;
      }
      runs[static_cast<unsigned>(std::countr_zero(lost))] = low;
    }
    running = found;
    held = next;
  }
  for (std::uint64_t left = running; left != 0; left &= left - 1) {
    runs[static_cast<unsigned>(std::countr_zero(left))] = held;
  }
  for (std::size_t i = 0; i < members.size(); ++i) cached[i] = runs[members[i].value % kGroup];
}

void PrefixIndex::match(std::span<const BlockHash> blocks, std::span<const EndpointId> candidates,
                        Instant now, std::span<std::uint32_t> cached) const {
  IM_ASSERT(cached.size() == candidates.size());
  std::fill(cached.begin(), cached.end(), 0);
  if (blocks.empty()) return;
  for (std::size_t first = 0, last = 0; first < candidates.size(); first = last) {
    const std::uint32_t group = candidates[first].value / kGroup;
    while (last < candidates.size() && candidates[last].value / kGroup == group) ++last;
    __builtin_prefetch(last < candidates.size() ? bucket(blocks[0], candidates[last].value / kGroup)
                                                : slots_);
    match_group(Probe{blocks, group, now}, candidates.subspan(first, last - first),
                cached.subspan(first, last - first));
  }
}

void PrefixIndex::forget(EndpointId endpoint) {
  IM_ASSERT(endpoint.value < kEndpointsMax);
  owners_[endpoint.value].epoch.fetch_add(1, kRelaxed);
}

void PrefixIndex::set_capacity(EndpointId endpoint, std::uint64_t blocks) {
  IM_ASSERT(endpoint.value < kEndpointsMax);
  owners_[endpoint.value].capacity.store(blocks, kRelaxed);
}

}  // namespace infermesh::prefix
