// PrefixIndex: which endpoint probably holds which prompt block in its KV cache. Approximate on
// purpose: it remembers what was sent where, forgets the oldest, and is never told what an engine
// evicts.
//
// Made once by app from a byte budget and shared by all shards and the signal loop without locks.
// The table is a fixed array of buckets of two cache lines, eight slots each; a slot is two relaxed
// 64-bit words, (block XOR data, data), so a slot torn by two writers decodes to a block that
// nobody asks for and reads as a miss (lockless hashing, Hyatt and Mann 2002). Pages are touched
// when first written. A full bucket gives up the slot written longest ago: approximate LRU.
//
// Of a long prompt only some blocks are kept, its marks: each of the first 64, then sixteen for
// each doubling. So a prompt of 200 KB takes 120 entries and not 800, and what is told of it is too
// low by a sixteenth at most. Sixteen marks of a prompt lie side by side in a page of 4 KiB, which
// the first of them chooses: a random page costs more than a random line.
//
// Limits: holders of one block in one group of four neighbouring endpoint ids share a bucket.
// Never fails; a lost or false entry costs one prefill that was predicted wrongly.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "base/ids.h"
#include "base/time.h"
#include "core/model/request_facts.h"

namespace infermesh::prefix {

class PrefixIndex {
 public:
  // Rounds the budget down to a power of two, at least 64 KiB. Entries not refreshed for `ttl` are
  // gone.
  explicit PrefixIndex(Bytes budget, Duration ttl = std::chrono::hours(2));
  PrefixIndex(const PrefixIndex&) = delete;
  PrefixIndex& operator=(const PrefixIndex&) = delete;

  // `endpoint` holds these blocks of one prompt from now on, or soon will. Refreshes those it
  // already holds.
  void insert(std::span<const BlockHash> blocks, EndpointId endpoint, Instant now);

  // For each candidate (ascending ids) how many blocks from the prompt's beginning it holds, into
  // `cached`, which is as long as `candidates`. Blocks are chained, so who holds block n holds
  // those before it: the end of each run is found by galloping and bisection over the marks, and
  // one missing mark inside a run is forgiven.
  void match(std::span<const BlockHash> blocks, std::span<const EndpointId> candidates, Instant now,
             std::span<std::uint32_t> cached) const;

  // The last mark among so many blocks: what match() tells of a run of that length.
  static std::uint32_t marked(std::size_t blocks);

  // The endpoint's cache is empty: it restarted, or the id went to another engine. O(1).
  void forget(EndpointId endpoint);

  // Blocks that the endpoint's own cache can keep; 0 = not known. An entry is taken for evicted
  // there when that many new blocks were inserted after its last use.
  void set_capacity(EndpointId endpoint, std::uint64_t blocks);

  Bytes size() const { return Bytes(static_cast<std::int64_t>(buckets_ * kBucketBytes)); }

 private:
  static constexpr std::size_t kSlots = 8;
  static constexpr std::size_t kBucketBytes = kSlots * 16;
  static constexpr std::size_t kPageBuckets = 4096 / kBucketBytes;
  static constexpr std::size_t kGroup = 4;  // endpoint ids that share a block's bucket

  struct Slot {          // both words are only touched through std::atomic_ref
    std::uint64_t tag;   // block XOR data
    std::uint64_t data;  // see prefix_index.cc
  };
  struct Owner {  // one endpoint
    std::atomic<std::uint32_t> epoch{0};
    std::atomic<std::uint64_t> inserted{0};  // new blocks so far: the clock of its own LRU
    std::atomic<std::uint64_t> capacity{0};
  };
  struct Mark {
    BlockHash block;
    BlockHash first;      // of the marks beside it: chooses the page
    std::uint32_t place;  // among them
  };
  struct Group;   // see match()
  struct Search;  // see match()
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };

  static Mark mark_at(std::span<const BlockHash> blocks, std::uint32_t mark);
  Slot* bucket(const Mark& mark, std::uint32_t group) const;
  bool alive(std::uint64_t data, Instant now) const;
  bool put(const Mark& mark, EndpointId endpoint, std::uint64_t data, Instant now);
  std::uint8_t holders(const Mark& mark, std::uint32_t group, Instant now) const;
  void prefetch(const Mark& mark, std::uint32_t group) const;

  std::unique_ptr<void, Free> memory_;
  Slot* slots_ = nullptr;
  std::size_t buckets_ = 0;
  Duration ttl_;
  std::array<Owner, kEndpointsMax> owners_{};
};

}  // namespace infermesh::prefix
