// BlockHasher: hashes of a prompt's blocks, each chained with all before it, from text that arrives
// in pieces. Equal hash at index i means equal text up to the end of block i (but for a chance of
// 2^-64 or so), which is what a prefix index needs. The cut into pieces does not matter. The hash
// of a block is that of block_hash.h.
//
// One buffer of a block is kept, and hashes of at most blocks_max blocks; text after them only
// counts.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/request_facts.h"

namespace infermesh::prefix {

class BlockHasher {
 public:
  // `salt` keeps apart what must never share a cache (a tenant, a chat template). 1 <= block_bytes.
  explicit BlockHasher(std::uint32_t block_bytes = 256, std::uint64_t salt = 0,
                       std::size_t blocks_max = kPromptBlocksMax);

  void feed(std::string_view text);
  // Changes all hashes that follow; before the first text it is a salt.
  void mix(std::uint64_t value);
  // Back to the beginning, salts forgotten but the constructor's.
  void restart();

  // Hashes of the full blocks so far, in order.
  std::span<const BlockHash> blocks() const { return blocks_; }
  bool full() const { return blocks_.size() >= blocks_max_; }
  std::uint64_t bytes() const { return bytes_; }  // fed since the beginning
  std::uint32_t block_bytes() const { return block_bytes_; }
  // Hash of everything fed, with the unfinished last block. Covers text after blocks_max only when
  // blocks_max is 0.
  std::uint64_t digest() const;

 private:
  std::size_t add_blocks(std::string_view text);

  std::uint32_t block_bytes_;
  std::size_t blocks_max_;
  std::uint64_t salt_;
  std::uint64_t chain_;  // hash of the last full block
  std::uint64_t bytes_ = 0;
  std::string partial_;  // the unfinished block, shorter than block_bytes_
  std::vector<BlockHash> blocks_;
};

}  // namespace infermesh::prefix
