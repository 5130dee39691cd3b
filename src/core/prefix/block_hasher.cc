#include "core/prefix/block_hasher.h"

#include <xxhash.h>

#include <algorithm>

#include "base/assert.h"

namespace infermesh::prefix {

BlockHasher::BlockHasher(std::uint32_t block_bytes, std::uint64_t salt, std::size_t blocks_max)
    : block_bytes_(block_bytes), blocks_max_(blocks_max), salt_(salt), chain_(salt) {
  IM_ASSERT(block_bytes > 0);
}

void BlockHasher::feed(std::string_view text) {
  bytes_ += text.size();
  if (blocks_max_ != 0 && full()) return;
  if (!partial_.empty()) {
    const std::size_t taken = std::min(text.size(), block_bytes_ - partial_.size());
    partial_.append(text.substr(0, taken));
    text.remove_prefix(taken);
    if (partial_.size() < block_bytes_) return;
    add_block(partial_);
    partial_.clear();
  }
  while (text.size() >= block_bytes_) {
    if (blocks_max_ != 0 && full()) return;
    add_block(text.substr(0, block_bytes_));
    text.remove_prefix(block_bytes_);
  }
  partial_.append(text);
}

void BlockHasher::mix(std::uint64_t value) {
  chain_ = XXH3_64bits_withSeed(&value, sizeof value, chain_);
}

void BlockHasher::restart() {
  chain_ = salt_;
  bytes_ = 0;
  partial_.clear();
  blocks_.clear();
}

std::uint64_t BlockHasher::digest() const {
  return XXH3_64bits_withSeed(partial_.data(), partial_.size(), chain_ ^ bytes_);
}

void BlockHasher::add_block(std::string_view block) {
  // A seed for long input costs XXH3 as much as the input itself; one for eight bytes is nothing.
  mix(XXH3_64bits(block.data(), block.size()));
  if (blocks_.size() < blocks_max_) blocks_.push_back(chain_);
}

}  // namespace infermesh::prefix
