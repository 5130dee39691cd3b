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

// Of 64 bytes, a bit each.
__attribute__((target("avx2"))) inline std::uint64_t bits(__m256i first, __m256i second) {
  return static_cast<std::uint32_t>(_mm256_movemask_epi8(first)) |
         std::uint64_t{static_cast<std::uint32_t>(_mm256_movemask_epi8(second))} << 32;
}

__attribute__((target("avx2"))) inline std::uint64_t equal_to(__m256i first, __m256i second,
                                                              char c) {
  const __m256i wanted = _mm256_set1_epi8(c);
  return bits(_mm256_cmpeq_epi8(first, wanted), _mm256_cmpeq_epi8(second, wanted));
}

__attribute__((target("avx2"))) inline std::uint64_t at_most(__m256i first, __m256i second,
                                                             char c) {
  const __m256i limit = _mm256_set1_epi8(c);
  return bits(_mm256_cmpeq_epi8(_mm256_min_epu8(first, limit), first),
              _mm256_cmpeq_epi8(_mm256_min_epu8(second, limit), second));
}

// Which bytes make an escape of two with the backslash before them: "\/bfnrt. The upper half of a
// byte picks a bit (2: 1, 5: 2, 6: 4, 7: 8), the lower half the bits that it goes with.
__attribute__((target("avx2"))) inline __m256i follows_backslash(__m256i bytes) {
  const __m256i by_lower_half =
      _mm256_setr_epi8(0, 0, 1 | 4 | 8, 0, 8, 0, 4, 0, 0, 0, 0, 0, 2, 0, 4, 1, 0, 0, 1 | 4 | 8, 0,
                       8, 0, 4, 0, 0, 0, 0, 0, 2, 0, 4, 1);
  const __m256i by_upper_half = _mm256_setr_epi8(0, 0, 1, 0, 0, 2, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                                 0, 1, 0, 0, 2, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0);
  const __m256i upper = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(0x0f));
  const __m256i both = _mm256_and_si256(_mm256_shuffle_epi8(by_lower_half, bytes),
                                        _mm256_shuffle_epi8(by_upper_half, upper));
  return _mm256_cmpgt_epi8(both, _mm256_setzero_si256());
}

// The byte after each run of backslashes of odd length: adding a run's first bit to the run carries
// to the byte after it, whose place then tells even from odd (Langdale and Lemire 2019, 3.1.1).
std::uint64_t escaped_after(std::uint64_t backslashes) {
  constexpr std::uint64_t kEven = 0x5555555555555555ULL;
  const std::uint64_t starts = backslashes & ~(backslashes << 1);
  const std::uint64_t after_even = (backslashes + (starts & kEven)) & ~backslashes;
  const std::uint64_t after_odd = (backslashes + (starts & ~kEven)) & ~backslashes;
  return (after_even & ~kEven) | (after_odd & kEven);
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

__attribute__((target("avx2"))) const char* skip_text_avx2(const char* p, const char* end) {
  while (end - p >= 64) {
    const __m256i first = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    const __m256i second = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32));
    const std::uint64_t backslashes = equal_to(first, second, '\\');
    const std::uint64_t escaped = escaped_after(backslashes);
    const std::uint64_t marks = equal_to(first, second, '"') | at_most(first, second, 0x1f);
    const std::uint64_t short_escapes = bits(follows_backslash(first), follows_backslash(second));
    // An escape that is not short stops at its backslash.
    const std::uint64_t stops = (marks & ~escaped) | (escaped & ~short_escapes) >> 1;
    if (stops != 0) return p + std::countr_zero(stops);
    // An escape whose second byte is beyond these begins the next step.
    p += 64 - std::countl_one(backslashes) % 2;
  }
  return p;
}

}  // namespace infermesh::json

#endif
