#include "wire/http/header_name.h"

#include <array>
#include <cstring>

namespace infermesh::http {
namespace {

constexpr std::array<std::string_view, kHeaderNames> kNames{"",
                                                            "accept",
                                                            "accept-encoding",
                                                            "anthropic-version",
                                                            "api-key",
                                                            "authorization",
                                                            "connection",
                                                            "content-length",
                                                            "content-type",
                                                            "cookie",
                                                            "date",
                                                            "endpoint-load-metrics",
                                                            "endpoint-load-metrics-format",
                                                            "expect",
                                                            "host",
                                                            "keep-alive",
                                                            "origin",
                                                            "process-start-time-unix",
                                                            "proxy-authenticate",
                                                            "proxy-authorization",
                                                            "proxy-connection",
                                                            "request-id",
                                                            "retry-after",
                                                            "retry-after-ms",
                                                            "sec-websocket-accept",
                                                            "sec-websocket-extensions",
                                                            "sec-websocket-key",
                                                            "sec-websocket-protocol",
                                                            "sec-websocket-version",
                                                            "server",
                                                            "te",
                                                            "traceparent",
                                                            "tracestate",
                                                            "trailer",
                                                            "transfer-encoding",
                                                            "upgrade",
                                                            "user-agent",
                                                            "via",
                                                            "x-api-key",
                                                            "x-goog-api-key",
                                                            "x-infermesh-priority",
                                                            "x-infermesh-timeout-ms",
                                                            "x-request-id",
                                                            "x-should-retry",
                                                            "x-stainless-read-timeout"};

constexpr std::size_t kPlaces = 128;

// No two names of the table share a place; the factors were found by trying. When a new name
// collides, the assertion below fails: try others.
constexpr std::size_t place_of(std::string_view name) {
  const auto folded = [&](std::size_t at) {
    return static_cast<std::size_t>(static_cast<unsigned char>(name[at]) | 0x20U);
  };
  const std::size_t mixed =
      name.size() * 3 + folded(0) * 3 + folded(name.size() - 1) * 46 + folded(name.size() / 2);
  return mixed % kPlaces;
}

constexpr std::array<std::uint8_t, kPlaces> kByPlace = [] {
  std::array<std::uint8_t, kPlaces> table{};
  for (std::size_t i = 1; i < kNames.size(); ++i) {
    table[place_of(kNames[i])] = static_cast<std::uint8_t>(i);
  }
  return table;
}();

constexpr bool each_has_its_place() {
  for (std::size_t i = 1; i < kNames.size(); ++i) {
    if (kByPlace[place_of(kNames[i])] != i) return false;
  }
  return true;
}
static_assert(each_has_its_place());
static_assert(static_cast<std::size_t>(HeaderName::kXStainlessReadTimeout) + 1 == kNames.size());

// Eight ASCII characters in lower case; other bytes stay as they are.
std::uint64_t lower_word(const char* at) {
  constexpr std::uint64_t kOnes = ~std::uint64_t{0} / 255, kHighs = kOnes * 0x80;
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  const std::uint64_t low = word & ~kHighs;
  const std::uint64_t from_a = low + kOnes * (0x80 - 'A');
  const std::uint64_t after_z = low + kOnes * (0x7f - 'Z');
  return word | ((from_a & ~after_z & ~word & kHighs) >> 2);
}

char lower_char(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

// `wanted` is in lower case; both are as long.
bool same_name(std::string_view name, std::string_view wanted) {
  const std::size_t size = name.size();
  if (size < 8) {
    for (std::size_t i = 0; i < size; ++i) {
      if (lower_char(name[i]) != wanted[i]) return false;
    }
    return true;
  }
  const auto same = [&](std::size_t at) {
    std::uint64_t word;
    std::memcpy(&word, wanted.data() + at, sizeof word);
    return lower_word(name.data() + at) == word;
  };
  for (std::size_t at = 0; at + 8 < size; at += 8) {
    if (!same(at)) return false;
  }
  return same(size - 8);  // may overlap the one before
}

}  // namespace

HeaderName header_name(std::string_view name) {
  if (name.empty()) return HeaderName::kOther;
  const std::uint8_t id = kByPlace[place_of(name)];
  const bool same = kNames[id].size() == name.size() && same_name(name, kNames[id]);
  return same ? static_cast<HeaderName>(id) : HeaderName::kOther;
}

std::string_view to_string(HeaderName name) {
  return kNames[static_cast<std::size_t>(name)];
}

}  // namespace infermesh::http
