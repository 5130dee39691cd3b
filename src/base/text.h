// Small text functions that several folders need.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace infermesh {

bool iequals(std::string_view a, std::string_view b);  // ASCII case-insensitive
std::string lower(std::string_view text);              // ASCII
std::string_view trim(std::string_view text);          // spaces, tabs, CR, LF at both ends
std::vector<std::string_view> split(std::string_view text, char separator);
std::optional<std::uint64_t> parse_u64(std::string_view text);  // whole text, decimal digits only

// "64KiB", "64MiB", "1GiB", "512" (bytes). nullopt when it is not a size.
std::optional<std::uint64_t> parse_size(std::string_view text);
std::string format_size(std::uint64_t bytes);  // the shortest exact form that parse_size reads back
std::string group_thousands(std::uint64_t number);  // 8120 -> "8,120"

// 64-bit hash of a name, the same in every process and version: for keys that outlive indices.
std::uint64_t name_hash(std::string_view name);

// The candidates nearest to `wrong` by edit distance (optimal string alignment), best first, ties
// in the order given; at most `limit`, and none further away than a third of its length (at least
// 2).
std::vector<std::string> nearest(std::string_view wrong, std::span<const std::string> candidates,
                                 std::size_t limit);

}  // namespace infermesh
