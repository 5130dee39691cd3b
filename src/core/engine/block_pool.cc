#include "core/engine/block_pool.h"

#include "base/assert.h"

namespace infermesh::engine {

BlockPool::BlockPool(std::uint32_t blocks) : entries_(std::size_t{blocks} + 1), index_(blocks) {
  IM_ASSERT(blocks >= 1);
  entries_[head()].previous = head();
  entries_[head()].next = head();
  for (Block block = 0; block < blocks; ++block) link_before(head(), block);
}

std::size_t BlockPool::match(std::span<const BlockHash> hashes) const {
  std::size_t count = 0;
  while (count < hashes.size() && index_.find(hashes[count])) ++count;
  return count;
}

bool BlockPool::admit(std::span<const BlockHash> hashes, std::size_t wanted,
                      std::vector<Block>& held) {
  IM_ASSERT(held.empty() && hashes.size() <= wanted);
  std::size_t from_free = wanted - hashes.size();
  for (const BlockHash hash : hashes) {
    const auto block = index_.find(hash);
    IM_ASSERT(block.has_value());
    if (entries_[*block].references == 0) ++from_free;
  }
  if (from_free > free_) return false;
  for (const BlockHash hash : hashes) {
    const Block block = *index_.find(hash);
    if (entries_[block].references++ == 0) unlink(block);
    held.push_back(block);
  }
  return grow(held, wanted);
}

bool BlockPool::grow(std::vector<Block>& held, std::size_t wanted) {
  if (held.size() >= wanted) return true;
  if (wanted - held.size() > free_) return false;
  while (held.size() < wanted) held.push_back(take_oldest());
  return true;
}

void BlockPool::remember(Block block, BlockHash hash) {
  Entry& entry = entries_[block];
  IM_ASSERT(entry.references > 0);
  if (entry.hash != 0 || hash == 0) return;
  if (index_.insert(hash, block)) entry.hash = hash;
}

void BlockPool::release(std::vector<Block>& held) {
  while (!held.empty()) {
    const Block block = held.back();
    held.pop_back();
    Entry& entry = entries_[block];
    IM_ASSERT(entry.references > 0);
    if (--entry.references > 0) continue;
    link_before(entry.hash != 0 ? head() : entries_[head()].next, block);
  }
}

void BlockPool::forget_unused() {
  for (Block block = entries_[head()].next; block != head(); block = entries_[block].next) {
    if (entries_[block].hash != 0) index_.erase(entries_[block].hash);
    entries_[block].hash = 0;
  }
}

double BlockPool::used_fraction() const {
  return static_cast<double>(total() - free_) / static_cast<double>(total());
}

void BlockPool::unlink(Block block) {
  Entry& entry = entries_[block];
  entries_[entry.previous].next = entry.next;
  entries_[entry.next].previous = entry.previous;
  --free_;
}

void BlockPool::link_before(Block place, Block block) {
  Entry& entry = entries_[block];
  entry.next = place;
  entry.previous = entries_[place].previous;
  entries_[entry.previous].next = block;
  entries_[place].previous = block;
  ++free_;
}

BlockPool::Block BlockPool::take_oldest() {
  const Block block = entries_[head()].next;
  IM_ASSERT(block != head());
  unlink(block);
  Entry& entry = entries_[block];
  if (entry.hash != 0) index_.erase(entry.hash);
  entry.hash = 0;
  entry.references = 1;
  return block;
}

}  // namespace infermesh::engine
