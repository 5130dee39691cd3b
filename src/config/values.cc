#include "config/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/text.h"
#include "config/objects.h"
#include "core/model/api.h"
#include "core/model/engine_url.h"
#include "core/model/load_source.h"

namespace infermesh::config {
namespace {

constexpr std::size_t kPathMax = 512;
constexpr std::array<std::string_view, 4> kOnWords{"on", "true", "yes", "1"};
constexpr std::array<std::string_view, 4> kOffWords{"off", "false", "no", "0"};

bool is_one_of(std::string_view text, std::span<const std::string_view> words) {
  for (std::string_view word : words) {
    if (iequals(text, word)) return true;
  }
  return false;
}

// Bounds in the form that the value itself is written.
template <typename Show>
Complaint check_bounds(std::string_view text, double value, const Limits& limits, Show show) {
  if (value >= limits.min && value <= limits.max) return {};
  if (value > limits.max && limits.min <= 0) {
    return fmt::format("{} is over the limit of {}", text, show(limits.max));
  }
  if (std::isinf(limits.max)) return fmt::format("{} is below {}", text, show(limits.min));
  return fmt::format("{} is out of bounds, {} to {}", text, show(limits.min), show(limits.max));
}

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_made_of(std::string_view text, std::string_view marks) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return is_letter_or_digit(c) || marks.find(c) != std::string_view::npos;
  });
}

Complaint check_path(std::string_view text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < '\x7f' && c != '#' && c != '"' && c != '\\';
  });
  if (text.starts_with('/') && text.size() <= kPathMax && plain) return {};
  return fmt::format("\"{}\" is not the path of a page, such as /health", text);
}

Complaint check_api(std::string_view text) {
  if (parse_api(text)) return {};
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kApis; ++i) names.emplace_back(to_string(static_cast<Api>(i)));
  return fmt::format("\"{}\" is no route family; they are {}", text, fmt::join(names, ", "));
}

Complaint check_text(std::string_view text, ValueKind kind) {
  switch (kind) {
    case ValueKind::kPath:
      return check_path(text);
    case ValueKind::kApi:
      return check_api(text);
    case ValueKind::kPointer:
      if (is_json_pattern(text)) return {};
      return fmt::format("\"{}\" is not a JSON pointer, such as /data/*/id", text);
    case ValueKind::kSource: {
      const auto source = parse_load_source(text);
      return source ? Complaint() : source.error().detail;
    }
    case ValueKind::kPlain:
    case ValueKind::kUrl:
    case ValueKind::kGrpcUrl:
      return {};
    case ValueKind::kName:
      if (text.empty()) return "a name is needed";
      if (text.size() > kObjectNameMax) {
        return fmt::format("a name of {} characters is over the limit of {}", text.size(),
                           kObjectNameMax);
      }
      if (is_letter_or_digit(text[0]) && is_made_of(text, "._:/@+-")) return {};
      return fmt::format(
          "\"{}\" is not a name: letters, digits and . _ : / @ + -, a letter or digit first", text);
    case ValueKind::kVariable:
      if (!text.empty() && (text[0] < '0' || text[0] > '9') && is_made_of(text, "_")) return {};
      return fmt::format("\"{}\" is not the name of an environment variable", text);
    case ValueKind::kHeader:
      if (!text.empty() && is_made_of(text, "!#$%&'*+-.^_`|~")) return {};
      return fmt::format("\"{}\" is not the name of an HTTP header", text);
  }
  return {};
}

std::string show_count(double value) {
  return fmt::format("{:.0f}", value);
}
std::string show_number(double value) {
  return fmt::format("{}", value);
}
std::string show_nanos(double value) {
  return format_duration(Duration(static_cast<std::int64_t>(value)));
}
std::string show_bytes(double value) {
  return format_size(static_cast<std::uint64_t>(value));
}

template <typename T>
std::string joined(const std::vector<T>& items) {
  return fmt::format("{}", fmt::join(items, ","));
}

// gRPC is HTTP/2, so both schemes say the same.
std::string http_of_grpc(std::string_view url) {
  for (const std::string_view scheme : {"grpc://", "grpcs://"}) {
    if (url.size() < scheme.size() || !iequals(url.substr(0, scheme.size()), scheme)) continue;
    return "http" + std::string(url.substr(scheme.size() - (scheme[4] == 's' ? 4 : 3)));
  }
  return std::string(url);
}

}  // namespace

std::string to_string(const HostPort& address) {
  if (address.host.find(':') != std::string::npos) {
    return fmt::format("[{}]:{}", address.host, address.port);
  }
  return fmt::format("{}:{}", address.host, address.port);
}

Complaint read_value(std::string_view text, std::string& into, const Limits& limits) {
  if (limits.kind == ValueKind::kUrl || limits.kind == ValueKind::kGrpcUrl) {
    const bool grpc = limits.kind == ValueKind::kGrpcUrl;
    auto url = parse_engine_url(grpc ? http_of_grpc(text) : std::string(text));
    if (!url) return url.error().detail;
    into = url->text();
    return {};
  }
  if (Complaint complaint = check_text(text, limits.kind); !complaint.empty()) return complaint;
  into = limits.kind == ValueKind::kHeader ? lower(text) : std::string(text);
  return {};
}

Complaint read_value(std::string_view text, bool& into, const Limits&) {
  if (is_one_of(text, kOnWords)) {
    into = true;
    return {};
  }
  if (is_one_of(text, kOffWords)) {
    into = false;
    return {};
  }
  return fmt::format("\"{}\" is neither on nor off", text);
}

Complaint read_value(std::string_view text, std::uint32_t& into, const Limits& limits) {
  const auto number = parse_u64(text);
  if (!number) return fmt::format("\"{}\" is not a whole number", text);
  const double maximum = std::min(limits.max, static_cast<double>(UINT32_MAX));
  Complaint complaint = check_bounds(text, static_cast<double>(*number),
                                     {limits.min, maximum, {}, limits.kind}, show_count);
  if (complaint.empty()) into = static_cast<std::uint32_t>(*number);
  return complaint;
}

Complaint read_value(std::string_view text, double& into, const Limits& limits) {
  double number = 0;
  const char* begin = text.data();
  const char* end = begin + text.size();
  auto [at, error] = std::from_chars(begin, end, number, std::chars_format::fixed);
  if (error != std::errc{} || at != end || !std::isfinite(number)) {
    return fmt::format("\"{}\" is not a number", text);
  }
  Complaint complaint = check_bounds(text, number, limits, show_number);
  if (complaint.empty()) into = number;
  return complaint;
}

Complaint read_value(std::string_view text, Duration& into, const Limits& limits) {
  const auto duration = parse_duration(text);
  if (!duration) return fmt::format("\"{}\" is not a duration, such as 250ms, 5s or 1m30s", text);
  Complaint complaint =
      check_bounds(text, static_cast<double>(duration->count()), limits, show_nanos);
  if (complaint.empty()) into = *duration;
  return complaint;
}

Complaint read_value(std::string_view text, std::uint64_t& into, const Limits& limits) {
  const auto size = parse_size(text);
  if (!size) return fmt::format("\"{}\" is not a size, such as 64KiB or 64MiB", text);
  Complaint complaint = check_bounds(text, static_cast<double>(*size), limits, show_bytes);
  if (complaint.empty()) into = *size;
  return complaint;
}

Complaint read_value(std::string_view text, HostPort& into, const Limits&) {
  auto parts = split_host_port(text, PortRule::kRequired);
  if (!parts) return fmt::format("\"{}\" is not HOST:PORT, such as 127.0.0.1:6400", text);
  into = HostPort{std::move(parts->host), parts->port};
  return {};
}

Complaint read_choice(std::string_view text, std::size_t& into, const Limits& limits) {
  for (std::size_t i = 0; i < limits.choices.size(); ++i) {
    if (limits.choices[i] == text) {
      into = i;
      return {};
    }
  }
  const std::vector<std::string> names(limits.choices.begin(), limits.choices.end());
  const auto near = nearest(text, names, 1);
  if (!near.empty())
    return fmt::format("unknown value \"{}\"; did you mean \"{}\"?", text, near[0]);
  return fmt::format("unknown value \"{}\"; use {}", text, fmt::join(names, ", "));
}

Complaint read_list(std::span<const std::string> items, std::vector<std::string>& into,
                    const Limits& limits) {
  std::vector<std::string> values;
  for (const std::string& item : items) {
    std::string value;
    if (Complaint complaint = read_value(item, value, limits); !complaint.empty()) return complaint;
    values.push_back(std::move(value));
  }
  into = std::move(values);
  return {};
}

Complaint read_list(std::span<const std::string> items, std::vector<std::uint16_t>& into,
                    const Limits&) {
  std::vector<std::uint16_t> values;
  for (const std::string& item : items) {
    const auto port = parse_u64(item);
    if (!port || *port == 0 || *port > 65535) {
      return fmt::format("\"{}\" is not a port, 1 to 65535", item);
    }
    values.push_back(static_cast<std::uint16_t>(*port));
  }
  into = std::move(values);
  return {};
}

std::string show_value(const std::string& value) {
  return value;
}
std::string show_value(bool value) {
  return value ? "on" : "off";
}
std::string show_value(std::uint32_t value) {
  return fmt::format("{}", value);
}
std::string show_value(double value) {
  return show_number(value);
}
std::string show_value(Duration value) {
  return format_duration(value);
}
std::string show_value(std::uint64_t value) {
  return format_size(value);
}
std::string show_value(const HostPort& value) {
  return to_string(value);
}
std::string show_value(const std::vector<std::string>& value) {
  return joined(value);
}
std::string show_value(const std::vector<std::uint16_t>& value) {
  return joined(value);
}

}  // namespace infermesh::config
