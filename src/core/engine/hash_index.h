// HashIndex: block hash -> block number, open addressing with linear probing and backward-shift
// deletion. Holds as many entries as given at construction (a KV pool cannot hold more cached
// blocks than it has); inserting beyond that is a programmer error. Flat, so that copying a whole
// engine is a few block copies. Hash 0 means "none" and is never stored.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/assert.h"
#include "core/model/request_facts.h"

namespace infermesh::engine {

class HashIndex {
 public:
  explicit HashIndex(std::uint32_t entries_max)
      : entries_max_(entries_max), slots_(std::bit_ceil(std::size_t{entries_max} * 2 + 2)) {}

  std::optional<std::uint32_t> find(BlockHash hash) const {
    for (std::size_t i = home(hash);; i = next(i)) {
      if (slots_[i].hash == 0) return std::nullopt;
      if (slots_[i].hash == hash) return slots_[i].block;
    }
  }

  // False when the hash is already there; the first block keeps it.
  bool insert(BlockHash hash, std::uint32_t block) {
    IM_ASSERT(hash != 0);
    std::size_t i = home(hash);
    for (; slots_[i].hash != 0; i = next(i)) {
      if (slots_[i].hash == hash) return false;
    }
    IM_ASSERT(size_ < entries_max_);
    slots_[i] = {hash, block};
    ++size_;
    return true;
  }

  void erase(BlockHash hash) {
    std::size_t hole = home(hash);
    while (slots_[hole].hash != hash) {
      if (slots_[hole].hash == 0) return;
      hole = next(hole);
    }
    // Entries after the hole move up when the hole lies between their home and where they sit.
    for (std::size_t i = next(hole); slots_[i].hash != 0; i = next(i)) {
      const std::size_t distance_home = (i - home(slots_[i].hash)) & mask();
      const std::size_t distance_hole = (i - hole) & mask();
      if (distance_home < distance_hole) continue;
      slots_[hole] = slots_[i];
      hole = i;
    }
    slots_[hole] = {};
    --size_;
  }

  std::size_t size() const { return size_; }

 private:
  struct Slot {
    BlockHash hash = 0;
    std::uint32_t block = 0;
  };
  std::size_t mask() const { return slots_.size() - 1; }
  std::size_t next(std::size_t i) const { return (i + 1) & mask(); }
  // Hashes may come from a caller that counts 1, 2, 3: spread them.
  std::size_t home(BlockHash hash) const { return ((hash * 0x9e3779b97f4a7c15ULL) >> 32) & mask(); }

  std::uint32_t entries_max_;
  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace infermesh::engine
