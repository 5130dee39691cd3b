// Shared by the fuzz targets: the first byte of an input chooses how the rest is cut into pieces,
// and each piece or buffer is a heap block of exactly its size, so that a sanitizer sees a read
// past its end.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/assert.h"
#include "base/rng.h"

namespace infermesh::fuzz {

// A copy of some bytes in a block that ends where they end.
class Exact {
 public:
  explicit Exact(std::string_view bytes) : block_(new char[bytes.size()]), size_(bytes.size()) {
    std::copy(bytes.begin(), bytes.end(), block_.get());
  }
  std::string_view view() const { return {block_.get(), size_}; }

 private:
  std::unique_ptr<char[]> block_;
  std::size_t size_;
};

struct Input {
  std::uint8_t choice = 0;
  std::string_view bytes;
};

inline Input read_input(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return {};
  return {data[0], {reinterpret_cast<const char*>(data) + 1, size - 1}};
}

// Calls take(piece) with the bytes cut into pieces: one byte each, or of random sizes, by `choice`.
template <typename Take>
void for_each_piece(const Input& input, Take take) {
  Rng rng(input.choice);
  const std::uint64_t piece_bytes_max = input.choice % 4 == 0 ? 1 : 1 + rng.below(64);
  for (std::string_view rest = input.bytes; !rest.empty();) {
    const auto piece = rest.substr(0, 1 + rng.below(piece_bytes_max));
    take(piece);
    rest.remove_prefix(piece.size());
  }
}

}  // namespace infermesh::fuzz
