#include "lab/load/trace.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "base/text.h"

namespace infermesh::lab {
namespace {

std::optional<std::uint64_t> leading_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} ? std::optional(value) : std::nullopt;
}

// The value of a key in one flat JSON object; the rest of the line follows it.
std::optional<std::string_view> after_key(std::string_view line, std::string_view key) {
  const std::string quoted = fmt::format("\"{}\"", key);
  const auto at = line.find(quoted);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = trim(line.substr(at + quoted.size()));
  if (!rest.starts_with(':')) return std::nullopt;
  return trim(rest.substr(1));
}

std::optional<std::uint64_t> number_at(std::string_view line, std::string_view key) {
  const auto value = after_key(line, key);
  return value ? leading_number(*value) : std::nullopt;
}

std::optional<std::uint32_t> tokens(std::optional<std::uint64_t> number) {
  constexpr std::uint64_t kTokensMax = 100'000'000;
  if (!number || *number > kTokensMax) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

std::optional<TraceRow> mooncake_row(std::string_view line) {
  const auto at = number_at(line, "timestamp");
  const auto input = tokens(number_at(line, "input_length"));
  const auto output = tokens(number_at(line, "output_length"));
  const auto ids = after_key(line, "hash_ids");
  if (!at || !input || !output || !ids || !ids->starts_with('[')) return std::nullopt;
  const auto end = ids->find(']');
  if (end == std::string_view::npos) return std::nullopt;
  TraceRow row{Duration(std::chrono::milliseconds(*at)), *input, *output, {}};
  const std::string_view list = trim(ids->substr(1, end - 1));
  if (list.empty()) return row;
  for (const auto item : split(list, ',')) {
    const auto id = parse_u64(trim(item));
    if (!id) return std::nullopt;
    row.blocks.push_back(*id);
  }
  return row;
}

// "2023-11-16 18:15:46.6805900"
std::optional<Duration> azure_time(std::string_view text) {
  using namespace std::chrono;
  if (text.size() < 19 || text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':') {
    return std::nullopt;
  }
  const auto part = [&](std::size_t at, std::size_t size) {
    return parse_u64(text.substr(at, size));
  };
  const auto y = part(0, 4), mo = part(5, 2), d = part(8, 2), h = part(11, 2), mi = part(14, 2),
             s = part(17, 2);
  if (!y || !mo || !d || !h || !mi || !s) return std::nullopt;
  const year_month_day date(year(static_cast<int>(*y)), month(static_cast<unsigned>(*mo)),
                            day(static_cast<unsigned>(*d)));
  if (!date.ok()) return std::nullopt;
  Duration since = sys_days(date).time_since_epoch() + hours(*h) + minutes(*mi) + seconds(*s);
  if (text.size() > 20 && text[19] == '.') {
    std::string digits(text.substr(20, 9));
    digits.resize(9, '0');
    const auto nanos = parse_u64(digits);
    if (!nanos) return std::nullopt;
    since += nanoseconds(*nanos);
  }
  return since;
}

std::optional<TraceRow> azure_row(std::string_view line) {
  const auto fields = split(line, ',');
  if (fields.size() != 3) return std::nullopt;
  const auto at = azure_time(trim(fields[0]));
  const auto input = tokens(parse_u64(trim(fields[1])));
  const auto output = tokens(parse_u64(trim(fields[2])));
  if (!at || !input || !output) return std::nullopt;
  return TraceRow{*at, *input, *output, {}};
}

}  // namespace

Result<std::vector<TraceRow>> parse_trace(std::string_view text) {
  const bool mooncake = text.starts_with('{');
  std::vector<TraceRow> rows;
  std::size_t number = 0;
  for (const auto line : split(text, '\n')) {
    ++number;
    const auto content = trim(line);
    if (content.empty() || (number == 1 && content.starts_with("TIMESTAMP"))) continue;
    auto row = mooncake ? mooncake_row(content) : azure_row(content);
    if (!row) {
      return fail(ErrorCode::kInvalidField,
                  fmt::format("trace line {}: not a row of a {} trace: {}", number,
                              mooncake ? "Mooncake" : "Azure", content.substr(0, 60)));
    }
    if (!rows.empty() && row->at < rows.back().at) row->at = rows.back().at;
    rows.push_back(std::move(*row));
    if (rows.size() > kTraceRowsMax)
      return fail(ErrorCode::kInvalidField, "the trace has over 10,000,000 rows");
  }
  if (rows.empty()) return fail(ErrorCode::kInvalidField, "the trace has no rows");
  const Duration first = rows.front().at;
  for (auto& row : rows) row.at -= first;
  return rows;
}

}  // namespace infermesh::lab
