// BlockCache: the small blocks of memory that a thread has freed and will want again: a request
// takes and frees some hundred of them. A last-in-first-out list for each size, a dozen
// instructions each way, where malloc and free together take about a hundred.
//
// One a thread. Open while the thread runs an event loop (the loop sees to it); closed, it keeps
// nothing. Bounded: kShelfBytes of each size. A block that is taken here may be freed by free(),
// on any thread, and one that came from malloc(rounded(size)) may be given. app/memory.cc puts it
// below operator new.
#pragma once

#include <array>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace infermesh::io {

class BlockCache {
 public:
  static constexpr std::size_t kBlockMax = 4104;
  static constexpr std::size_t kShelfBytes = 32 << 10;

  static BlockCache& of_this_thread() { return of_this_thread_; }

  // What a block of `size` bytes really has; malloc would waste as much.
  static constexpr std::size_t rounded(std::size_t size) { return block_of(shelf_of(size)); }

  // Null: there is none. `size` is at most kBlockMax, here and below.
  void* take(std::size_t size) {
    const std::size_t index = shelf_of(size);
    Shelf& shelf = shelves_[index];
    Block* const block = shelf.first;
    if (block == nullptr) return nullptr;
    shelf.first = block->next;
    shelf.bytes -= block_of(index);
    return block;
  }
  // False: it keeps enough of this size, or is closed; the block is the caller's to free.
  bool give(void* block, std::size_t size) {
    const std::size_t index = shelf_of(size);
    Shelf& shelf = shelves_[index];
    if (shelf.bytes >= room_) return false;
    shelf.bytes += block_of(index);
    shelf.first = ::new (block) Block{shelf.first};
    return true;
  }

  void open() { room_ = kShelfBytes; }
  void close();  // frees all that is kept
  std::size_t kept_bytes() const;

 private:
  struct Block {
    Block* next;
  };
  struct Shelf {
    Block* first = nullptr;
    std::size_t bytes = 0;
  };
  // Steps of 16 bytes to 1032, then of 128.
  static constexpr std::size_t kFine = 64, kFineMax = kFine * 16 + 8, kCoarse = 24;
  static constexpr std::size_t shelf_of(std::size_t size) {
    return size <= kFineMax ? (size + 7) >> 4 : kFine + ((size - kFineMax + 127) >> 7);
  }
  static constexpr std::size_t block_of(std::size_t shelf) {
    return shelf <= kFine ? (shelf << 4) + 8 : kFineMax + ((shelf - kFine) << 7);
  }
  static_assert(kFineMax + kCoarse * 128 == kBlockMax);

  std::array<Shelf, kFine + kCoarse + 1> shelves_{};
  std::size_t room_ = 0;

  static thread_local constinit BlockCache of_this_thread_;
};

}  // namespace infermesh::io
