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

// Marks, numbered from 0: each of the first kDense blocks, then kPerOctave for each doubling.
constexpr std::uint32_t kDense = 64, kPerOctave = 16;
constexpr std::uint32_t kMarksInPage = 16;

// How many blocks a mark stands at the end of.
std::uint32_t blocks_at(std::uint32_t mark) {
  if (mark < kDense) return mark + 1;
  const std::uint32_t octave = kDense << ((mark - kDense) / kPerOctave);
  return octave + ((mark - kDense) % kPerOctave + 1) * (octave / kPerOctave);
}

std::uint32_t marks_in(std::size_t blocks) {
  const auto count = static_cast<std::uint32_t>(blocks);
  if (count <= kDense) return count;
  const auto doublings = static_cast<std::uint32_t>(std::bit_width(count / kDense)) - 1;
  const std::uint32_t octave = kDense << doublings;
  return kDense + doublings * kPerOctave + (count - octave) / (octave / kPerOctave);
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
  constexpr std::size_t kPageBytes = kPageBuckets * kBucketBytes;
  std::size_t space = buckets_ * kBucketBytes + kPageBytes;
  memory_.reset(std::calloc(space, 1));
  IM_ASSERT(memory_ != nullptr);
  void* start = memory_.get();
  slots_ = static_cast<Slot*>(std::align(kPageBytes, buckets_ * kBucketBytes, start, space));
  IM_ASSERT(slots_ != nullptr);
}

// Prompts that share this mark share those before it, so they agree on the page.
PrefixIndex::Mark PrefixIndex::mark_at(std::span<const BlockHash> blocks, std::uint32_t mark) {
  const std::uint32_t place = mark % kMarksInPage;
  return {blocks[blocks_at(mark) - 1], blocks[blocks_at(mark - place) - 1], place};
}

PrefixIndex::Slot* PrefixIndex::bucket(const Mark& mark, std::uint32_t group) const {
  const std::uint64_t start = mix(mark.first + group * 0x9e3779b97f4a7c15ULL);
  const std::uint64_t page = start / kPageBuckets * kPageBuckets & (buckets_ - 1);
  return slots_ + (page + (start + mark.place) % kPageBuckets) * kSlots;
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

void PrefixIndex::prefetch(const Mark& mark, std::uint32_t group) const {
  const Slot* slots = bucket(mark, group);
  __builtin_prefetch(slots);
  __builtin_prefetch(slots + kSlots / 2);
}

// True when the endpoint did not hold the block before. In one look at the bucket: the place is the
// slot that holds the block already, else one that is empty or of a cache that is gone, else the
// one written longest ago.
bool PrefixIndex::put(const Mark& mark, EndpointId endpoint, std::uint64_t data, Instant now) {
  Slot* const slots = bucket(mark, endpoint.value / kGroup);
  const std::uint64_t units = time_units(now);
  Slot* place = slots;
  std::uint64_t oldest = 0;
  bool held_before = false;
  for (Slot* slot = slots; slot != slots + kSlots; ++slot) {
    const std::uint64_t held = load(slot->data);
    const std::uint64_t same = load(slot->tag) ^ held ^ mark.block;
    if ((same | (held >> kEndpointShift ^ endpoint.value)) == 0 && (held & 1) != 0) {
      place = slot;
      held_before = alive(held, now);
      break;
    }
    const std::uint64_t epoch = owners_[endpoint_of(held)].epoch.load(kRelaxed);
    const bool gone = (held & 1) == 0 || ((held >> kEpochShift ^ epoch) & kEpochMask) != 0;
    const std::uint64_t age =
        gone ? kTimeMask + 2 : ((units - (held >> kTimeShift)) & kTimeMask) + 1;
    place = age > oldest ? slot : place;
    oldest = std::max(age, oldest);
  }
  store(place->tag, mark.block ^ data);
  store(place->data, data);
  return !held_before;
}

void PrefixIndex::insert(std::span<const BlockHash> blocks, EndpointId endpoint, Instant now) {
  IM_ASSERT(endpoint.value < kEndpointsMax);
  Owner& owner = owners_[endpoint.value];
  const std::uint64_t clock = owner.inserted.load(kRelaxed) >> kClockUnitBits;
  const std::uint64_t data = (static_cast<std::uint64_t>(endpoint.value) << kEndpointShift) |
                             ((owner.epoch.load(kRelaxed) & kEpochMask) << kEpochShift) |
                             (time_units(now) << kTimeShift) |
                             ((clock & kClockMask) << kClockShift) | 1;
  constexpr std::uint32_t kAhead = 24;  // buckets fetched ahead: each is a cache miss of its own
  const std::uint32_t marks = marks_in(blocks.size());
  for (std::uint32_t mark = 0; mark < std::min(kAhead, marks); ++mark) {
    prefetch(mark_at(blocks, mark), endpoint.value / kGroup);
  }
  std::uint64_t fresh = 0;
  std::uint32_t before = 0;
  for (std::uint32_t mark = 0; mark < marks; ++mark) {
    if (mark + kAhead < marks) {
      prefetch(mark_at(blocks, mark + kAhead), endpoint.value / kGroup);
    }
    const std::uint32_t count = blocks_at(mark);
    if (put(mark_at(blocks, mark), endpoint, data, now)) fresh += count - before;
    before = count;
  }
  owner.inserted.fetch_add(fresh, kRelaxed);
}

// Bit i: the endpoint group * kGroup + i holds the block.
std::uint8_t PrefixIndex::holders(const Mark& mark, std::uint32_t group, Instant now) const {
  Slot* slots = bucket(mark, group);
  unsigned found = 0;
  for (Slot* slot = slots; slot != slots + kSlots; ++slot) {
    const std::uint64_t data = load(slot->data);
    if ((load(slot->tag) ^ data) != mark.block || endpoint_of(data) / kGroup != group) continue;
    if (alive(data, now)) found |= 1U << (endpoint_of(data) % kGroup);
  }
  return static_cast<std::uint8_t>(found);
}

// A group of neighbouring candidates whose run goes on, or one candidate whose run's end is looked
// for. Trivial: arrays of it on the stack are not filled beforehand.
struct PrefixIndex::Group {
  std::uint16_t number;     // endpoint ids / kGroup
  std::uint16_t candidate;  // the first one's index
  std::uint8_t all;         // bit per endpoint that is a candidate
  std::uint8_t members;     // of those, who is still asked for
  std::uint8_t found;       // of those, who holds the mark asked for
  std::uint32_t low;        // marks held
  std::uint32_t high;       // marks not held
  std::uint32_t middle() const { return low + (high - low) / 2; }
  std::size_t candidate_of(unsigned bit) const {
    constexpr std::array<std::uint8_t, 8> kOnes{0, 1, 1, 2, 1, 2, 2, 3};
    return candidate + kOnes[all & ((1U << bit) - 1)];
  }
};

// Searches of many groups go side by side, so that their cache misses overlap.
struct PrefixIndex::Search {
  const PrefixIndex& index;
  std::span<const BlockHash> blocks;
  Instant now;
  std::uint32_t marks;

  std::size_t gallop(std::span<Group> groups, std::span<Group> ends,
                     std::span<std::uint32_t> cached) const;
  void bisect(std::span<Group> ends, std::span<std::uint32_t> cached) const;
  // Blocks of so many marks.
  static std::uint32_t length(std::uint32_t held) { return held == 0 ? 0 : blocks_at(held - 1); }
  Mark last_of(std::uint32_t held) const { return mark_at(blocks, held - 1); }

  // Sets `found` of each group: who holds so many marks. Holding mark n + 1 implies holding mark n,
  // so a mark pushed out of the middle of a run is forgiven when the next one is there.
  template <typename Held>
  void ask(std::span<Group> groups, Held held) const {
    for (Group& group : groups) index.prefetch(last_of(held(group)), group.number);
    for (Group& group : groups) {
      group.found = group.members & index.holders(last_of(held(group)), group.number, now);
      const bool lacking = group.found != group.members && held(group) < marks;
      if (lacking) index.prefetch(last_of(held(group) + 1), group.number);
    }
    for (Group& group : groups) {
      if (group.found == group.members || held(group) == marks) continue;
      group.found |= group.members & index.holders(last_of(held(group) + 1), group.number, now);
    }
  }
};

// Answers how many runs end between two counts; those are in `ends`, the others' lengths in
// `cached`.
std::size_t PrefixIndex::Search::gallop(std::span<Group> groups, std::span<Group> ends,
                                        std::span<std::uint32_t> cached) const {
  std::size_t ended = 0;
  std::uint32_t held = 0;
  for (std::uint32_t step = 1; !groups.empty() && held < marks; step *= 2) {
    const std::uint32_t next = std::min(held + step, marks);
    ask(groups, [next](const Group&) { return next; });
    std::size_t kept = 0;
    for (const Group& group : groups) {
      for (unsigned lost = group.members & ~group.found; lost != 0; lost &= lost - 1) {
        const auto bit = static_cast<unsigned>(std::countr_zero(lost));
        const std::size_t candidate = group.candidate_of(bit);
        cached[candidate] = length(held);
        if (next - held == 1) continue;
        ends[ended++] = {group.number,
                         static_cast<std::uint16_t>(candidate),
                         0,
                         static_cast<std::uint8_t>(1U << bit),
                         0,
                         held,
                         next};
      }
      if (group.found == 0) continue;
      groups[kept] = group;
      groups[kept++].members = group.found;
    }
    groups = groups.first(kept);
    held = next;
  }
  for (const Group& group : groups) {
    for (unsigned left = group.members; left != 0; left &= left - 1) {
      cached[group.candidate_of(static_cast<unsigned>(std::countr_zero(left)))] = length(held);
    }
  }
  return ended;
}

void PrefixIndex::Search::bisect(std::span<Group> ends, std::span<std::uint32_t> cached) const {
  while (!ends.empty()) {
    ask(ends, [](const Group& group) { return group.middle(); });
    std::size_t kept = 0;
    for (Group group : ends) {
      (group.found != 0 ? group.low : group.high) = group.middle();
      cached[group.candidate] = length(group.low);
      if (group.high - group.low > 1) ends[kept++] = group;
    }
    ends = ends.first(kept);
  }
}

std::uint32_t PrefixIndex::marked(std::size_t blocks) {
  return Search::length(marks_in(blocks));
}

// Gallops: the counts double until nobody holds that many. Whoever drops out on the way has the end
// of its run between two counts and finds it by bisection.
void PrefixIndex::match(std::span<const BlockHash> blocks, std::span<const EndpointId> candidates,
                        Instant now, std::span<std::uint32_t> cached) const {
  IM_ASSERT(cached.size() == candidates.size() && candidates.size() <= kEndpointsMax);
  std::fill(cached.begin(), cached.end(), 0);
  if (blocks.empty()) return;
  const Search search{*this, blocks, now, marks_in(blocks.size())};
  std::array<Group, kEndpointsMax / kGroup> groups;
  std::size_t running = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const auto number = static_cast<std::uint16_t>(candidates[i].value / kGroup);
    if (running == 0 || groups[running - 1].number != number) {
      groups[running++] = {number, static_cast<std::uint16_t>(i), 0, 0, 0, 0, 0};
    }
    groups[running - 1].all |= static_cast<std::uint8_t>(1U << (candidates[i].value % kGroup));
    groups[running - 1].members = groups[running - 1].all;
  }
  std::array<Group, kEndpointsMax> ends;
  const std::size_t ended = search.gallop(std::span(groups).first(running), ends, cached);
  search.bisect(std::span(ends).first(ended), cached);
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
