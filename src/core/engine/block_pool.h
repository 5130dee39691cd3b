// BlockPool: the KV blocks of one engine, with prefix caching. A block is referenced by the
// sequences that use it; a block without references keeps its content, known by its chained hash,
// until it is the least recently released one and room is needed. Blocks without a known hash are
// reused first. Fixed size; when nothing is free, grow() says so and changes nothing. Follows the
// block manager of vLLM V1 as its documentation describes it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/engine/hash_index.h"
#include "core/model/request_facts.h"

namespace infermesh::engine {

class BlockPool {
 public:
  using Block = std::uint32_t;

  explicit BlockPool(std::uint32_t blocks);

  // How many leading blocks of `hashes` are cached.
  std::size_t match(std::span<const BlockHash> hashes) const;
  // References the cached blocks of `hashes` (all must be cached) and the blocks that bring `held`
  // to `wanted`. False, with nothing changed, when there are not enough free ones. `held` must be
  // empty.
  bool admit(std::span<const BlockHash> hashes, std::size_t wanted, std::vector<Block>& held);
  // Adds fresh blocks until `held` has `wanted`. False, with nothing changed, when there are not
  // enough free ones.
  bool grow(std::vector<Block>& held, std::size_t wanted);
  // From now on the block can be found by this hash. The first block with a hash keeps it.
  void remember(Block block, BlockHash hash);
  // Gives all of `held` back, the last block first, so that the end of a prefix is forgotten before
  // its beginning.
  void release(std::vector<Block>& held);
  // Forgets all cached content that no sequence uses.
  void forget_unused();

  std::uint32_t total() const { return static_cast<std::uint32_t>(entries_.size() - 1); }
  std::uint32_t free() const { return free_; }  // unreferenced, cached or not
  std::uint32_t cached() const { return static_cast<std::uint32_t>(index_.size()); }
  double used_fraction() const;

 private:
  struct Entry {
    BlockHash hash = 0;
    std::uint32_t references = 0;
    Block previous = 0;  // free list links; the entry after the last block is the list's head
    Block next = 0;
  };
  Block head() const { return total(); }
  void unlink(Block block);
  void link_before(Block place, Block block);
  Block take_oldest();

  std::vector<Entry> entries_;
  HashIndex index_;
  std::uint32_t free_ = 0;
};

}  // namespace infermesh::engine
