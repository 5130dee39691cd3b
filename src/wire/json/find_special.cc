#include "wire/json/find_special.h"

#if defined(IM_FIND_SPECIAL_AVX2)
#include <immintrin.h>

namespace infermesh::json {

bool has_avx2() {
  static const bool has = __builtin_cpu_supports("avx2") != 0;
  return has;
}

__attribute__((target("avx2"))) const char* find_special_avx2(const char* p, const char* end) {
  const __m256i quote = _mm256_set1_epi8('"');
  const __m256i backslash = _mm256_set1_epi8('\\');
  const __m256i control = _mm256_set1_epi8(0x1f);
  while (end - p >= 32) {
    const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    const __m256i low = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, control), bytes);
    const __m256i hit = _mm256_or_si256(
        low, _mm256_or_si256(_mm256_cmpeq_epi8(bytes, quote), _mm256_cmpeq_epi8(bytes, backslash)));
    if (const int mask = _mm256_movemask_epi8(hit); mask != 0) {
      return p + std::countr_zero(static_cast<unsigned>(mask));
    }
    p += 32;
  }
  return p;
}

}  // namespace infermesh::json

#endif
