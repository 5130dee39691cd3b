#include "wire/json/find_special.h"

#if defined(IM_FIND_SPECIAL_AVX2)
#include <immintrin.h>

namespace infermesh::json {
namespace {

// A quote and a backslash are the only bytes that equal what the table holds for their lower half.
__attribute__((target("avx2"))) inline __m256i special(__m256i bytes) {
  const __m256i by_lower_half =
      _mm256_setr_epi8(0, 0, '"', 0, 0, 0, 0, 0, 0, 0, 0, 0, '\\', 0, 0, 0, 0, 0, '"', 0, 0, 0, 0,
                       0, 0, 0, 0, 0, '\\', 0, 0, 0);
  const __m256i control = _mm256_set1_epi8(0x1f);
  const __m256i low = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, control), bytes);
  const __m256i marks = _mm256_cmpeq_epi8(_mm256_shuffle_epi8(by_lower_half, bytes), bytes);
  return _mm256_or_si256(low, marks);
}

}  // namespace

const bool kHasAvx2 = __builtin_cpu_supports("avx2") != 0;

__attribute__((target("avx2"))) const char* find_special_avx2(const char* p, const char* end) {
  for (; end - p >= 64; p += 64) {
    const __m256i first = special(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    const __m256i second = special(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32)));
    if (_mm256_testz_si256(_mm256_or_si256(first, second), _mm256_set1_epi8(-1)) != 0) continue;
    const auto mask = static_cast<std::uint32_t>(_mm256_movemask_epi8(first)) |
                      std::uint64_t{static_cast<std::uint32_t>(_mm256_movemask_epi8(second))} << 32;
    return p + std::countr_zero(mask);
  }
  return p;
}

}  // namespace infermesh::json

#endif
