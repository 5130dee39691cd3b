// Reading engines' JSON answers: bounded parsing and getters that take a missing or ill-typed
// member for "not told". Bounds: 4 MiB of text, 32 levels. Built on Boost.JSON; nothing here
// throws.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
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

// Calls `visit` for each value that a JSON pointer (RFC 6901) leads to; a token * stands for every
// element of an array and every member of an object. An empty pattern is the value itself.
void for_each_match(const Json& value, std::string_view pattern,
                    const std::function<void(const Json& found)>& visit);

// A value as text: a string as it is, a number or word as JSON writes it; empty for anything else.
std::string scalar_text(const Json& value);
std::optional<double> number_of(const Json& value);  // finite numbers only

// A finite, non-negative number as a count, rounded to the nearest; nullopt for anything else.
std::optional<std::uint64_t> to_count(double value);
// The same for fields of 32 bits; larger values become the largest.
std::optional<std::uint32_t> to_count32(double value);

}  // namespace infermesh::engines
