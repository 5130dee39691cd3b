#include "data/server/request_id.h"

#include <algorithm>

namespace infermesh::data {

bool is_usable_request_id(std::string_view id) {
  const auto usable = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == ':' || c == '-';
  };
  return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), usable);
}

std::string mint_request_id(WallTime now, Rng& rng) {
  const auto millis = std::chrono::floor<std::chrono::milliseconds>(now).time_since_epoch().count();
  const std::uint64_t time = static_cast<std::uint64_t>(millis) & 0xffffffffffffULL;
  const std::uint64_t a = rng.next(), b = rng.next();
  const std::uint64_t high = time << 16 | 0x7000 | (a & 0xfff);
  const std::uint64_t low = (0x8000ULL | ((a >> 12) & 0x3fff)) << 48 | (b & 0xffffffffffffULL);
  std::string id(36, '-');
  std::size_t at = 0;
  for (const std::uint64_t half : {high, low}) {
    for (int shift = 60; shift >= 0; shift -= 4) {
      if (at == 8 || at == 13 || at == 18 || at == 23) ++at;
      id[at++] = "0123456789abcdef"[half >> shift & 15];
    }
  }
  return id;
}

}  // namespace infermesh::data
