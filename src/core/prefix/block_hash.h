// hash_block: the hash of a prompt block after the one whose hash is `chain`. Sixteen bytes a step:
// the two words, each under a key of its own, are multiplied to 128 bits and folded; the folds are
// summed, and the sum is folded with the chain. The same on every machine. Not for hostile
// collisions: a client can only confuse its own cache estimate. Session keys are hashed with it,
// too.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace infermesh::prefix {

static_assert(std::endian::native == std::endian::little);

// The first outputs of SplitMix64 (Steele, Lea, Flood 2014) from 0.
constexpr auto kBlockKeys = [] {
  std::array<std::uint64_t, 34> keys{};
  std::uint64_t state = 0;
  for (std::uint64_t& key : keys) {
    state += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    key = z ^ (z >> 31);
  }
  return keys;
}();

inline std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
#if defined(__x86_64__)
  std::uint64_t low = a, high;  // GCC 12 takes a 128-bit product through memory
  asm("mulq %2" : "+a"(low), "=d"(high) : "rm"(b) : "cc");
  return low ^ high;
#else
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
#endif
}

inline std::uint64_t fold_sixteen(const char* at, const std::uint64_t* keys) {
  std::uint64_t first, second;
  std::memcpy(&first, at, 8);
  std::memcpy(&second, at + 8, 8);
  return fold(first ^ keys[0], second ^ keys[1]);
}

inline std::uint64_t hash_block(std::string_view block, std::uint64_t chain) {
  constexpr std::size_t kSteps = 16;  // with keys of their own
  const std::uint64_t* const keys = kBlockKeys.data();
  std::uint64_t sum = block.size() * keys[32];
  const char* at = block.data();
  std::size_t left = block.size();
  for (; left >= kSteps * 16; left -= kSteps * 16) {
#pragma GCC unroll 4  // as a whole, each key would become an instruction of its own
    for (std::size_t step = 0; step < kSteps; ++step) {
      sum += fold_sixteen(at + 16 * step, keys + 2 * step);
    }
    at += kSteps * 16;
    if (left > kSteps * 16) sum = fold(sum ^ keys[32], keys[33]);
  }
  for (std::size_t step = 0; left > 0; ++step) {
    char last[16]{};
    const std::size_t size = left < 16 ? left : 16;
    std::memcpy(last, at, size);
    sum += fold_sixteen(last, keys + 2 * step);
    at += size;
    left -= size;
  }
  const std::uint64_t hash = fold(sum ^ keys[32], chain ^ keys[33]);
  return (hash ^ (hash >> 32)) * keys[0];
}

}  // namespace infermesh::prefix
