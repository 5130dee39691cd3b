#include "wire/engine/json_read.h"

#include <boost/json/parse.hpp>
#include <cmath>
#include <exception>
#include <limits>
#include <utility>

namespace infermesh::engines {

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

std::optional<double> number_of(const Json& value, std::string_view key) {
  const Json* found = member(value, key);
  if (found == nullptr) return std::nullopt;
  double number = 0;
  if (found->is_int64()) {
    number = static_cast<double>(found->get_int64());
  } else if (found->is_uint64()) {
    number = static_cast<double>(found->get_uint64());
  } else if (found->is_double()) {
    number = found->get_double();
  } else {
    return std::nullopt;
  }
  if (!std::isfinite(number)) return std::nullopt;
  return number;
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
