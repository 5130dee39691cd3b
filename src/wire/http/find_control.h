// find_control: the first byte that no line of a head may hold: a control character other than
// HTAB, or DEL. In a good head that is the CR that ends the line. 16 bytes a step where SSE2 is
// there, 8 otherwise.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace infermesh::http {

inline bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && byte != '\t') || byte == 0x7f;
}

// Returns `end` when there is none.
inline const char* find_control(const char* p, const char* end) {
#if defined(__SSE2__)
  const __m128i low = _mm_set1_epi8(0x1f);
  const __m128i tab = _mm_set1_epi8('\t');
  const __m128i del = _mm_set1_epi8(0x7f);
  for (; end - p >= 16; p += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i is_low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, low), bytes);
    const __m128i hit = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), is_low),
                                     _mm_cmpeq_epi8(bytes, del));
    if (const int mask = _mm_movemask_epi8(hit); mask != 0) {
      return p + std::countr_zero(static_cast<unsigned>(mask));
    }
  }
#else
  constexpr std::uint64_t kOnes = ~std::uint64_t{0} / 255, kHighs = kOnes * 0x80;
  for (; end - p >= 8; p += 8) {
    std::uint64_t word;
    std::memcpy(&word, p, sizeof word);
    const std::uint64_t deletes = word ^ (kOnes * 0x7f);
    const std::uint64_t suspect = ((word - kOnes * 0x20) & ~word) | ((deletes - kOnes) & ~deletes);
    if ((suspect & kHighs) == 0) continue;
    for (const char* at = p; at != p + 8;
         ++at) {  // a tab is no hit, nor a carry of the next byte's
      if (is_control(*at)) return at;
    }
  }
#endif
  while (p != end && !is_control(*p)) ++p;
  return p;
}

}  // namespace infermesh::http
