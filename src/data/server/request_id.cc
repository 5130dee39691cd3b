#include "data/server/request_id.h"

#include <fmt/format.h>

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
  return fmt::format("{:08x}-{:04x}-7{:03x}-{:04x}-{:012x}", time >> 16, time & 0xffff, a & 0xfff,
                     0x8000 | ((a >> 12) & 0x3fff), b & 0xffffffffffffULL);
}

}  // namespace infermesh::data
