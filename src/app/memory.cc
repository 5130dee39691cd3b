// operator new and delete of the binary: small blocks go through the thread's BlockCache, the rest
// to malloc. A sanitizer brings its own.
#include <cstdlib>
#include <new>

#include "base/assert.h"
#include "io/block_cache.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {

using infermesh::io::BlockCache;

void* take(std::size_t size) noexcept {
  if (size > BlockCache::kBlockMax) return std::malloc(size);
  void* const kept = BlockCache::of_this_thread().take(size);
  return kept != nullptr ? kept : std::malloc(BlockCache::rounded(size));
}

void give(void* block, std::size_t size) noexcept {
  if (block == nullptr) return;
  if (size > BlockCache::kBlockMax || !BlockCache::of_this_thread().give(block, size)) {
    std::free(block);
  }
}

}  // namespace

void* operator new(std::size_t size) {
  void* const block = take(size);
  IM_ASSERT(block != nullptr);  // out of memory: nothing here could go on without
  return block;
}

void* operator new[](std::size_t size) {
  return operator new(size);
}

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return take(size);
}

void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return take(size);
}

void operator delete(void* block, std::size_t size) noexcept {
  give(block, size);
}

void operator delete[](void* block, std::size_t size) noexcept {
  give(block, size);
}

// Of unknown size.
void operator delete(void* block) noexcept {
  std::free(block);
}

void operator delete[](void* block) noexcept {
  std::free(block);
}

void operator delete(void* block, const std::nothrow_t&) noexcept {
  std::free(block);
}

void operator delete[](void* block, const std::nothrow_t&) noexcept {
  std::free(block);
}

#endif
