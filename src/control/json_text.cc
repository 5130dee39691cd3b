#include "control/json_text.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <cmath>

namespace infermesh::control {
namespace {

namespace json = boost::json;

void append(std::string& out, const json::value& value);

void append_object(std::string& out, const json::object& object) {
  out += '{';
  bool first = true;
  for (const auto& [key, value] : object) {
    if (!first) out += ',';
    first = false;
    out += json::serialize(json::string(key));
    out += ':';
    append(out, value);
  }
  out += '}';
}

void append_array(std::string& out, const json::array& array) {
  out += '[';
  bool first = true;
  for (const json::value& value : array) {
    if (!first) out += ',';
    first = false;
    append(out, value);
  }
  out += ']';
}

void append(std::string& out, const json::value& value) {
  if (const auto* object = value.if_object()) return append_object(out, *object);
  if (const auto* array = value.if_array()) return append_array(out, *array);
  if (const auto* number = value.if_double()) {
    out += std::isfinite(*number) ? fmt::format("{}", *number) : "null";
    return;
  }
  out += json::serialize(value);
}

}  // namespace

std::string json_text(const json::value& value) {
  std::string out;
  append(out, value);
  return out;
}

json::value rounded(double number, int decimals) {
  if (!std::isfinite(number)) return nullptr;
  const double scale = std::pow(10.0, decimals);
  const double near = std::round(number * scale) / scale;
  if (std::abs(near) < 1e15 && near == std::floor(near)) return static_cast<std::int64_t>(near);
  return near;
}

json::value millis(Duration duration) {
  return rounded(to_millis(duration), 3);
}

json::value millis_or_null(std::optional<Duration> duration) {
  if (!duration || *duration < Duration::zero()) return nullptr;
  return millis(*duration);
}

}  // namespace infermesh::control
