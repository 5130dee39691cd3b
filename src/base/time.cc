#include "base/time.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <ctime>
#include <limits>

namespace infermesh {
namespace {

struct Unit {
  std::string_view name;
  Duration size;
};

// Longest names first, so that "ms" is not read as minutes.
constexpr std::array kUnits{Unit{"ns", 1ns}, Unit{"us", 1us}, Unit{"ms", 1ms},
                            Unit{"s", 1s},   Unit{"m", 1min}, Unit{"h", 1h}};
constexpr std::array kUnitsLargestFirst{Unit{"h", 1h},   Unit{"m", 1min}, Unit{"s", 1s},
                                        Unit{"ms", 1ms}, Unit{"us", 1us}, Unit{"ns", 1ns}};

std::optional<Duration> unit_of(std::string_view name) {
  for (const Unit& unit : kUnits) {
    if (unit.name == name) return unit.size;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  if (text == "0") return Duration::zero();
  if (text.empty()) return std::nullopt;
  double nanos = 0;
  while (!text.empty()) {
    double number = 0;
    auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (error != std::errc{} || number < 0) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const std::size_t letters = std::min(text.find_first_not_of("nusmh"), text.size());
    const auto unit = unit_of(text.substr(0, letters));
    if (!unit) return std::nullopt;
    nanos += number * static_cast<double>(unit->count());
    text.remove_prefix(letters);
  }
  if (nanos > static_cast<double>(std::numeric_limits<std::int64_t>::max()) / 2)
    return std::nullopt;
  return Duration(std::llround(nanos));
}

std::string format_duration(Duration duration) {
  if (duration <= Duration::zero()) return "0s";
  std::string text;
  for (const Unit& unit : kUnitsLargestFirst) {
    const auto count = duration / unit.size;
    if (count == 0) continue;
    text += fmt::format("{}{}", count, unit.name);
    duration -= count * unit.size;
  }
  return text;
}

std::string human_duration(Duration duration) {
  const double seconds = to_seconds(duration);
  if (seconds < 1e-3) return fmt::format("{:.0f} us", seconds * 1e6);
  if (seconds < 9.95e-3) return fmt::format("{:.1f} ms", seconds * 1e3);
  if (seconds < 0.9995) return fmt::format("{:.0f} ms", seconds * 1e3);
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  if (seconds < 7200) return fmt::format("{:.0f} min", seconds / 60);
  if (seconds < 172800) return fmt::format("{:.0f} h", seconds / 3600);
  return fmt::format("{:.0f} d", seconds / 86400);
}

std::string format_wall_time(WallTime time) {
  const auto millis =
      std::chrono::floor<std::chrono::milliseconds>(time).time_since_epoch().count();
  const std::time_t seconds = static_cast<std::time_t>(millis / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                     millis % 1000);
}

}  // namespace infermesh
