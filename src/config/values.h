// Text -> typed values of settings and object fields, and back. One function a type; each answers
// with the value or one sentence that says what was expected. Pure.
#pragma once

#include <cstdint>
#include <expected>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/time.h"

namespace infermesh::config {

struct HostPort {
  std::string host;  // a name or an address literal, IPv6 without brackets; empty = every address
  std::uint16_t port = 0;  // 0 = any free port

  bool operator==(const HostPort&) const = default;
};
std::string to_string(const HostPort& address);  // "127.0.0.1:6400", "[::1]:6400"

// What a text is checked for.
enum class ValueKind : std::uint8_t {
  kPlain,
  kUrl,       // an engine's or admin URL; kept in its full form
  kGrpcUrl,   // the same, also as grpc://HOST:PORT and grpcs://HOST:PORT
  kName,      // of an object or model
  kVariable,  // of an environment variable
  kHeader,    // of an HTTP header; kept in lower case
  kPath,      // of a page: begins with a slash; {model} may stand in it
  kPointer,   // a JSON pointer, * for every element
  kSource,    // core/model/load_source.h
  kApi,       // a route family
};

constexpr double kNoMaximum = std::numeric_limits<double>::infinity();

// What a value must satisfy. Bounds count nanoseconds for durations and bytes for sizes.
struct Limits {
  double min = 0;
  double max = kNoMaximum;
  std::span<const std::string_view> choices;  // of an enum, in the order of its enumerators
  ValueKind kind = ValueKind::kPlain;
};

// An empty text is success; anything else says what is wrong: `"5x" is not a duration, such as
// 250ms or 1m30s`.
using Complaint = std::string;

Complaint read_value(std::string_view text, std::string& into, const Limits& limits);
Complaint read_value(std::string_view text, bool& into, const Limits& limits);
Complaint read_value(std::string_view text, std::uint32_t& into, const Limits& limits);
Complaint read_value(std::string_view text, double& into, const Limits& limits);
Complaint read_value(std::string_view text, Duration& into, const Limits& limits);
Complaint read_value(std::string_view text, std::uint64_t& into, const Limits& limits);  // a size
Complaint read_value(std::string_view text, HostPort& into, const Limits& limits);
Complaint read_choice(std::string_view text, std::size_t& into, const Limits& limits);

template <typename Enum>
  requires std::is_enum_v<Enum>
Complaint read_value(std::string_view text, Enum& into, const Limits& limits) {
  std::size_t index = 0;
  Complaint complaint = read_choice(text, index, limits);
  if (complaint.empty()) into = static_cast<Enum>(index);
  return complaint;
}

// Lists replace what was there.
Complaint read_list(std::span<const std::string> items, std::vector<std::string>& into,
                    const Limits& limits);
Complaint read_list(std::span<const std::string> items, std::vector<std::uint16_t>& into,
                    const Limits& limits);

// The text that read_value reads back.
std::string show_value(const std::string& value);
std::string show_value(bool value);
std::string show_value(std::uint32_t value);
std::string show_value(double value);
std::string show_value(Duration value);
std::string show_value(std::uint64_t value);
std::string show_value(const HostPort& value);
std::string show_value(const std::vector<std::string>& value);
std::string show_value(const std::vector<std::uint16_t>& value);

}  // namespace infermesh::config
