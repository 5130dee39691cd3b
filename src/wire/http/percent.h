// Percent-encoding of URL parts (RFC 3986 2.1), and the members of a query.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace infermesh::http {

// Decoded once; a '%' without two hex digits stands for itself.
std::string percent_decoded(std::string_view text);
// All but unreserved characters are encoded: good for a segment and for a query's value.
std::string percent_encoded(std::string_view text);

// The raw value of the first member of this name; nullopt when there is none.
std::optional<std::string_view> query_value(std::string_view query, std::string_view name);
// The query with every member of this name given this value, encoded here.
std::string with_query_value(std::string_view query, std::string_view name, std::string_view value);

}  // namespace infermesh::http
