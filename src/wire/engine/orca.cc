#include "wire/engine/orca.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"
#include "wire/engine/json_read.h"
#include "wire/engine/sum.h"

namespace infermesh::engines {
namespace {

constexpr std::string_view kNamed = "named_metrics";

enum class Field : std::uint8_t { kKvUsed, kRunning, kWaiting };

struct Name {
  std::string_view name;
  Field field;
};
constexpr std::array kNames{
    Name{"kv_cache_usage_perc", Field::kKvUsed},   Name{"gpu_cache_usage_perc", Field::kKvUsed},
    Name{"kv_cache_utilization", Field::kKvUsed},  Name{"num_requests_running", Field::kRunning},
    Name{"num_requests_waiting", Field::kWaiting},
};

// A name stands with "named_metrics." before it or without; the first value of a field counts.
void take(std::string_view name, double value, OrcaReport& report) {
  if (name.starts_with(kNamed) && name.substr(kNamed.size()).starts_with('.')) {
    name.remove_prefix(kNamed.size() + 1);
  }
  const auto known = std::find_if(kNames.begin(), kNames.end(),
                                  [&](const Name& entry) { return entry.name == name; });
  if (known == kNames.end() || !is_measure(value)) return;
  switch (known->field) {
    case Field::kKvUsed:
      if (!report.kv_used) report.kv_used = std::min(value, 1.0);
      return;
    case Field::kRunning:
      if (!report.running) report.running = to_count32(value);
      return;
    case Field::kWaiting:
      if (!report.waiting) report.waiting = to_count32(value);
      return;
  }
}

OrcaReport read_text(std::string_view text) {
  OrcaReport report;
  for (const std::string_view pair : split(text, ',')) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view digits = trim(pair.substr(equals + 1));
    double value = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (read.ec != std::errc{} || read.ptr != digits.data() + digits.size()) continue;
    take(trim(pair.substr(0, equals)), value, report);
  }
  return report;
}

void take_members(const Json& value, OrcaReport& report) {
  const auto* members = value.if_object();
  if (members == nullptr) return;
  for (const Name& known : kNames) {
    for (const std::string& name :
         {std::string(known.name), std::string(kNamed) + '.' + std::string(known.name)}) {
      if (const auto number = number_of(value, name)) take(known.name, *number, report);
    }
  }
}

OrcaReport read_json(std::string_view text) {
  OrcaReport report;
  const auto parsed = parse_json(text);
  if (!parsed) return report;
  if (const Json* named = member(*parsed, kNamed)) take_members(*named, report);
  take_members(*parsed, report);
  return report;
}

}  // namespace

OrcaReport read_orca(std::string_view value) {
  if (value.size() > kOrcaBytesMax) return {};
  value = trim(value);
  const std::string_view word = value.substr(0, value.find(' '));
  if (iequals(word, "TEXT") || iequals(word, "JSON")) value = trim(value.substr(word.size()));
  return value.starts_with('{') ? read_json(value) : read_text(value);
}

}  // namespace infermesh::engines
