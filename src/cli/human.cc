#include "cli/human.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text.h"
#include "base/time.h"

namespace infermesh::cli {
namespace {

// Two significant figures, never in scientific notation.
std::string two_figures(double number) {
  if (number >= 9.95) return fmt::format("{:.0f}", number);
  if (number >= 0.995) return fmt::format("{:.1f}", number);
  return fmt::format("{:.2f}", number);
}

}  // namespace

std::string whole(std::optional<double> number) {
  if (!number) return "-";
  const double rounded = std::round(*number);
  const std::string digits = group_thousands(static_cast<std::uint64_t>(std::abs(rounded)));
  return rounded < 0 ? "-" + digits : digits;
}

std::string percent(std::optional<double> fraction) {
  return fraction ? fmt::format("{:.0f} %", *fraction * 100) : "-";
}

std::string millis(std::optional<double> milliseconds) {
  if (!milliseconds) return "-";
  if (*milliseconds == 0) return "0 ms";
  return human_duration(from_seconds(*milliseconds / 1e3));
}

std::string age(std::optional<double> milliseconds) {
  if (!milliseconds || *milliseconds < 999.5 || *milliseconds >= 9'950) return millis(milliseconds);
  return fmt::format("{:.0f} s", *milliseconds / 1e3);
}

std::string seconds_fine(std::optional<double> milliseconds) {
  if (!milliseconds) return "-";
  if (*milliseconds < 999.5 || *milliseconds >= 9'995) return millis(milliseconds);
  return fmt::format("{:.2f} s", *milliseconds / 1e3);
}

std::string millis_pair(std::optional<double> first, std::optional<double> second) {
  if (!first || !second) return "-";
  if (*second >= 999.5) {
    return fmt::format("{} / {} s", two_figures(*first / 1e3), two_figures(*second / 1e3));
  }
  return fmt::format("{} / {} ms", two_figures(*first), two_figures(*second));
}

std::string plural(double number, std::string_view one) {
  return fmt::format("{} {}{}", whole(number), one, number == 1 ? "" : "s");
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  return fmt::format("{}", fmt::join(parts, separator));
}

}  // namespace infermesh::cli
