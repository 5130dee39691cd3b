// find_special: the first byte of a JSON string that needs a look: quote, backslash or control
// character. 16 bytes a step where SSE2 is there, 64 in long strings where the machine has AVX2, 8
// otherwise.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace infermesh::json {

inline bool is_special(char c) {
  return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
}

constexpr std::array<bool, 256> kSimpleEscape = [] {
  std::array<bool, 256> table{};
  for (const char c : {'"', '\\', '/', 'b', 'f', 'n', 'r', 't'}) {
    table[static_cast<unsigned char>(c)] = true;
  }
  return table;
}();
// Whether a backslash and this are a whole escape.
inline bool is_simple_escape(char c) {
  return kSimpleEscape[static_cast<unsigned char>(c)];
}

#if defined(__x86_64__)
#define IM_FIND_SPECIAL_AVX2
// As far as whole steps go: the hit, or less than 64 bytes before `end`.
__attribute__((target("avx2"))) const char* find_special_avx2(const char* p, const char* end);
// Where text and escapes of two bytes end: at a quote, a control character or any other escape's
// backslash; or less than 64 bytes before `end`. `p` is not within an escape.
__attribute__((target("avx2"))) const char* skip_text_avx2(const char* p, const char* end);
extern const bool kHasAvx2;
#endif

// Returns `end` when there is none.
inline const char* find_special(const char* p, const char* end) {
#if defined(__SSE2__)
#if defined(IM_FIND_SPECIAL_AVX2)
  constexpr int kStepsBefore = 4;  // most strings are over by then
  int steps = 0;
#endif
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i control = _mm_set1_epi8(0x1f);
  while (end - p >= 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, control), bytes);
    const __m128i hit = _mm_or_si128(
        low, _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
    if (const int mask = _mm_movemask_epi8(hit); mask != 0) {
      return p + std::countr_zero(static_cast<unsigned>(mask));
    }
    p += 16;
#if defined(IM_FIND_SPECIAL_AVX2)
    if (++steps == kStepsBefore && kHasAvx2) p = find_special_avx2(p, end);
#endif
  }
#else
  constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
  constexpr std::uint64_t kHighs = 0x8080808080808080ULL;
  const auto has_zero = [](std::uint64_t word) { return (word - kOnes) & ~word & kHighs; };
  while (end - p >= 8) {
    std::uint64_t word;
    std::memcpy(&word, p, 8);
    const std::uint64_t low = (word - kOnes * 0x20) & ~word & kHighs;
    if ((low | has_zero(word ^ kOnes * '"') | has_zero(word ^ kOnes * '\\')) != 0) break;
    p += 8;
  }
#endif
  while (p != end && !is_special(*p)) ++p;
  return p;
}

// Goes on after an escape of two bytes: as far as may be done in large steps over what is text or
// such an escape, too. Text with one escape has more: line ends, quotes.
inline const char* skip_text(const char* p, const char* end) {
#if defined(IM_FIND_SPECIAL_AVX2)
  if (end - p >= 64 && kHasAvx2) return skip_text_avx2(p, end);
#endif
  return p;
}

// The closing quote of the string whose text begins at p. nullptr: it is not there, or there is
// something else on the way than text and escapes of two bytes.
inline const char* find_closing_quote(const char* p, const char* end) {
  while ((p = find_special(p, end)) != end && *p == '\\') {
    if (end - p < 2 || !is_simple_escape(p[1])) return nullptr;
    p = skip_text(p + 2, end);
  }
  return p != end && *p == '"' ? p : nullptr;
}

}  // namespace infermesh::json
