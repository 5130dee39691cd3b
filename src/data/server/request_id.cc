#include "data/server/request_id.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace infermesh::data {
namespace {

// "00", "01", ... "ff".
constexpr auto kHexPairs = [] {
  std::array<std::array<char, 2>, 256> pairs{};
  for (std::size_t i = 0; i < pairs.size(); ++i)
    pairs[i] = {"0123456789abcdef"[i >> 4], "0123456789abcdef"[i & 15]};
  return pairs;
}();

}  // namespace

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
  std::string id;
  id.resize_and_overwrite(36, [&](char* text, std::size_t size) {
    char* at = text;
    for (int byte = 0; byte < 16; ++byte) {
      const std::uint64_t half = byte < 8 ? high : low;
      std::memcpy(at, &kHexPairs[half >> (56 - 8 * (byte & 7)) & 255], 2);
      at += 2;
      if (byte == 3 || byte == 5 || byte == 7 || byte == 9) *at++ = '-';
    }
    return size;
  });
  return id;
}

}  // namespace infermesh::data
