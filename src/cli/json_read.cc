#include "cli/json_read.h"

namespace infermesh::cli {
namespace {

// Absent members read as these; constants, never written.
const json::value kNull;
const json::array kNoItems;

}  // namespace

const json::value& member(const json::value& of, std::string_view key) {
  const json::object* object = of.if_object();
  if (object == nullptr) return kNull;
  const json::value* found = object->if_contains(key);
  return found == nullptr ? kNull : *found;
}

std::string text(const json::value& of, std::string_view key) {
  const json::string* found = member(of, key).if_string();
  return found == nullptr ? std::string() : std::string(*found);
}

std::optional<double> number(const json::value& of, std::string_view key) {
  const json::value& found = member(of, key);
  if (!found.is_number()) return std::nullopt;
  boost::system::error_code ignored;
  return found.to_number<double>(ignored);
}

std::int64_t count(const json::value& of, std::string_view key) {
  return static_cast<std::int64_t>(number(of, key).value_or(0));
}

bool flag(const json::value& of, std::string_view key) {
  const bool* found = member(of, key).if_bool();
  return found != nullptr && *found;
}

const json::array& array(const json::value& of, std::string_view key) {
  const json::array* found = member(of, key).if_array();
  return found == nullptr ? kNoItems : *found;
}

std::vector<std::string> texts(const json::value& of, std::string_view key) {
  std::vector<std::string> out;
  for (const json::value& item : array(of, key)) {
    if (const json::string* string = item.if_string()) out.emplace_back(*string);
  }
  return out;
}

}  // namespace infermesh::cli
