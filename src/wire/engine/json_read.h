// Reading engines' JSON answers: bounded parsing and getters that take a missing or ill-typed
// member for "not told". Bounds: 4 MiB of text, 32 levels. Built on Boost.JSON; nothing here
// throws.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace infermesh::engines {

constexpr std::size_t kJsonBytesMax = std::size_t{4} << 20;
constexpr std::size_t kJsonDepthMax = 32;

using Json = boost::json::value;

// kUpstreamBadResponse when it is not JSON or is over a bound.
Result<Json> parse_json(std::string_view text);

const Json* member(const Json& value, std::string_view key);        // nullptr when there is none
std::string_view text_of(const Json& value, std::string_view key);  // empty when it is no string
std::optional<double> number_of(const Json& value, std::string_view key);        // finite only
std::optional<std::uint64_t> count_of(const Json& value, std::string_view key);  // >= 0, rounded
const boost::json::array* array_of(const Json& value, std::string_view key);

// A finite, non-negative number as a count, rounded to the nearest; nullopt for anything else.
std::optional<std::uint64_t> to_count(double value);
// The same for fields of 32 bits; larger values become the largest.
std::optional<std::uint32_t> to_count32(double value);

}  // namespace infermesh::engines
