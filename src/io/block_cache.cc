#include "io/block_cache.h"

namespace infermesh::io {

constinit thread_local BlockCache BlockCache::of_this_thread_;

void BlockCache::close() {
  room_ = 0;
  for (Shelf& shelf : shelves_) {
    while (shelf.first != nullptr) {
      Block* const gone = shelf.first;
      shelf.first = gone->next;
      std::free(gone);
    }
    shelf.bytes = 0;
  }
}

std::size_t BlockCache::kept_bytes() const {
  std::size_t bytes = 0;
  for (const Shelf& shelf : shelves_) bytes += shelf.bytes;
  return bytes;
}

}  // namespace infermesh::io
