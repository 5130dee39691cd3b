#include "wire/engine/json_read.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <cmath>
#include <exception>
#include <limits>
#include <utility>

#include "base/text.h"

namespace infermesh::engines {
namespace {

// ~1 is a slash and ~0 a tilde in a token of a JSON pointer.
std::string unescaped(std::string_view token) {
  std::string text;
  for (std::size_t at = 0; at < token.size(); ++at) {
    if (token[at] == '~' && at + 1 < token.size()) {
      text += token[++at] == '1' ? '/' : '~';
    } else {
      text += token[at];
    }
  }
  return text;
}

}  // namespace

Result<Json> parse_json(std::string_view text) {
  if (text.size() > kJsonBytesMax) {
    return fail(ErrorCode::kUpstreamBadResponse, "the engine's JSON answer is over 4 MiB");
  }
  boost::json::parse_options options;
  options.max_depth = kJsonDepthMax;
  try {
    boost::system::error_code error;
    Json value = boost::json::parse({text.data(), text.size()}, error, {}, options);
    if (error) {
      return fail(ErrorCode::kUpstreamBadResponse,
                  "the engine's answer is not JSON: " + error.message());
    }
    return value;
  } catch (const std::exception& problem) {
    return fail(ErrorCode::kUpstreamBadResponse,
                std::string("the engine's JSON answer cannot be held: ") + problem.what());
  }
}

const Json* member(const Json& value, std::string_view key) {
  const auto* object = value.if_object();
  return object == nullptr ? nullptr : object->if_contains({key.data(), key.size()});
}

std::string_view text_of(const Json& value, std::string_view key) {
  const Json* found = member(value, key);
  if (found == nullptr || !found->is_string()) return {};
  const auto& text = found->get_string();
  return {text.data(), text.size()};
}

std::optional<double> number_of(const Json& value) {
  double number = 0;
  if (value.is_int64()) {
    number = static_cast<double>(value.get_int64());
  } else if (value.is_uint64()) {
    number = static_cast<double>(value.get_uint64());
  } else if (value.is_double()) {
    number = value.get_double();
  } else {
    return std::nullopt;
  }
  if (!std::isfinite(number)) return std::nullopt;
  return number;
}

std::optional<double> number_of(const Json& value, std::string_view key) {
  const Json* found = member(value, key);
  return found == nullptr ? std::nullopt : number_of(*found);
}

std::string scalar_text(const Json& value) {
  if (value.is_string()) return {value.get_string().data(), value.get_string().size()};
  if (value.is_bool()) return value.get_bool() ? "true" : "false";
  if (value.is_int64()) return std::to_string(value.get_int64());
  if (value.is_uint64()) return std::to_string(value.get_uint64());
  return {};
}

void for_each_match(const Json& value, std::string_view pattern,
                    const std::function<void(const Json& found)>& visit) {
  if (pattern.empty()) return visit(value);
  if (pattern.front() != '/') return;
  const std::size_t end = std::min(pattern.find('/', 1), pattern.size());
  const std::string_view token = pattern.substr(1, end - 1);
  const std::string_view rest = pattern.substr(end);
  const auto* array = value.if_array();
  const auto* object = value.if_object();
  if (token == "*") {
    if (array != nullptr) {
      for (const Json& element : *array) for_each_match(element, rest, visit);
    }
    if (object != nullptr) {
      for (const auto& entry : *object) for_each_match(entry.value(), rest, visit);
    }
  } else if (array != nullptr) {
    const auto index = parse_u64(token);
    if (index && *index < array->size()) for_each_match((*array)[*index], rest, visit);
  } else if (object != nullptr) {
    const Json* found = member(value, unescaped(token));
    if (found != nullptr) for_each_match(*found, rest, visit);
  }
}

std::optional<std::uint64_t> count_of(const Json& value, std::string_view key) {
  const auto number = number_of(value, key);
  return number ? to_count(*number) : std::nullopt;
}

const boost::json::array* array_of(const Json& value, std::string_view key) {
  const Json* found = member(value, key);
  return found == nullptr ? nullptr : found->if_array();
}

std::optional<std::uint64_t> to_count(double value) {
  // 2^63 keeps every count convertible to a signed quantity.
  if (!std::isfinite(value) || value < 0 || value >= 0x1p63) return std::nullopt;
  return static_cast<std::uint64_t>(std::llround(value));
}

std::optional<std::uint32_t> to_count32(double value) {
  const auto count = to_count(value);
  if (!count) return std::nullopt;
  constexpr std::uint64_t kMax = std::numeric_limits<std::int32_t>::max();
  return static_cast<std::uint32_t>(*count < kMax ? *count : kMax);
}

}  // namespace infermesh::engines
