#include "core/prefix/block_hasher.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "core/prefix/block_hash.h"

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
    add_blocks(partial_);
    partial_.clear();
  }
  text.remove_prefix(add_blocks(text));
  if (partial_.capacity() < block_bytes_) partial_.reserve(block_bytes_);
  partial_.append(text);
}

void BlockHasher::mix(std::uint64_t value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  chain_ = hash_block({bytes, sizeof bytes}, chain_);
}

void BlockHasher::restart() {
  chain_ = salt_;
  bytes_ = 0;
  partial_.clear();
  blocks_.clear();
}

std::uint64_t BlockHasher::digest() const {
  return hash_block(partial_, chain_ ^ bytes_);
}

// Takes the whole blocks from the text's beginning and answers their size; of those after
// blocks_max there is nothing else to take.
std::size_t BlockHasher::add_blocks(std::string_view text) {
  const std::size_t whole = text.size() / block_bytes_;
  const std::size_t room = blocks_max_ == 0 ? whole : blocks_max_ - blocks_.size();
  const std::size_t hashed = std::min(whole, room);
  if (blocks_max_ != 0 && blocks_.size() + hashed > blocks_.capacity()) {
    blocks_.reserve(
        std::min(blocks_max_, std::max(blocks_.size() + hashed, 2 * blocks_.size() + 8)));
  }
  const char* at = text.data();
  std::uint64_t chain = chain_;
  for (std::size_t i = 0; i < hashed; ++i, at += block_bytes_) {
    chain = hash_block({at, block_bytes_}, chain);
    if (blocks_max_ != 0) blocks_.push_back(chain);
  }
  chain_ = chain;
  return whole * block_bytes_;
}

}  // namespace infermesh::prefix
