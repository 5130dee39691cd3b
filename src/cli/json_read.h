// Tolerant reading of the admin API's JSON: a member that is missing, null or of another kind reads
// as absent, so an older command line works with a newer mesh and the other way round.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace infermesh::cli {

namespace json = boost::json;

const json::value& member(const json::value& of, std::string_view key);  // null when absent
std::string text(const json::value& of, std::string_view key);           // empty when absent
std::optional<double> number(const json::value& of, std::string_view key);
std::int64_t count(const json::value& of, std::string_view key);  // 0 when absent
bool flag(const json::value& of, std::string_view key);
const json::array& array(const json::value& of, std::string_view key);  // empty when absent
std::vector<std::string> texts(const json::value& of, std::string_view key);

// How -o json and -o yaml print: two spaces a level, numbers as people write them.
std::string pretty_json(const json::value& value);
std::string compact_json(const json::value& value);  // one line
std::string yaml(const json::value& value);

}  // namespace infermesh::cli
