#include "lab/engine/fault.h"

#include <fmt/format.h>

#include <array>
#include <vector>

#include "base/text.h"

namespace infermesh::lab {
namespace {

constexpr std::array<std::string_view, 10> kNames{
    "delay",     "status",    "retry-after", "reset",   "cut",
    "bad-chunk", "bad-frame", "error-frame", "no-done", "content-type"};

Error wrong(std::string_view word, std::string_view expected) {
  return {ErrorCode::kInvalidField, fmt::format("fault \"{}\": {}", word, expected), "fault"};
}

Error unknown(std::string_view word, std::string_view name) {
  std::vector<std::string> names(kNames.begin(), kNames.end());
  names.emplace_back("stall");
  const auto close = nearest(name, names, 1);
  return wrong(word,
               close.empty() ? "no such fault" : fmt::format("did you mean \"{}\"?", close[0]));
}

struct Counted {
  std::string_view name;
  std::optional<std::uint32_t> Fault::* field;
  bool count_needed;
};
constexpr std::array<Counted, 5> kCounted{{{"cut", &Fault::cut_after, true},
                                           {"stall", &Fault::stall_after, true},
                                           {"bad-chunk", &Fault::bad_chunk_after, false},
                                           {"bad-frame", &Fault::bad_frame_after, false},
                                           {"error-frame", &Fault::error_frame_after, false}}};

Result<std::uint32_t> count_of(std::string_view word, std::string_view value) {
  const auto parsed = parse_u64(value);
  if (!parsed || *parsed > 1'000'000)
    return std::unexpected(wrong(word, "the value is not a count"));
  return static_cast<std::uint32_t>(*parsed);
}

Result<void> read_counted(const Counted& counted, std::string_view word,
                          std::optional<std::string_view> value, Fault& fault) {
  if (!value) {
    if (counted.count_needed) {
      return std::unexpected(
          wrong(word, fmt::format("write {}=N, the frames before it", counted.name)));
    }
    fault.*counted.field = 1;
    return {};
  }
  const auto count = count_of(word, *value);
  if (!count) return std::unexpected(count.error());
  fault.*counted.field = *count;
  return {};
}

Result<void> read_valued(std::string_view name, std::string_view word, std::string_view value,
                         Fault& fault) {
  if (name == "delay") {
    const auto delay = parse_duration(value);
    if (!delay) return std::unexpected(wrong(word, "the value is not a duration, such as 200ms"));
    fault.delay = *delay;
    return {};
  }
  if (name == "content-type") {
    fault.content_type = value;
    return {};
  }
  const auto count = count_of(word, value);
  if (!count) return std::unexpected(count.error());
  if (name == "retry-after") {
    fault.retry_after_seconds = *count;
    return {};
  }
  if (*count < 400 || *count > 599) {
    return std::unexpected(wrong(word, "the status must be from 400 to 599"));
  }
  fault.status = static_cast<int>(*count);
  return {};
}

Result<void> read_word(std::string_view word, Fault& fault) {
  const auto equals = word.find('=');
  const std::string_view name = word.substr(0, equals);
  std::optional<std::string_view> value;
  if (equals != std::string_view::npos) value = word.substr(equals + 1);
  for (const auto& counted : kCounted) {
    if (counted.name == name) return read_counted(counted, word, value, fault);
  }
  if (name == "no-done") {
    fault.no_done = true;
    return {};
  }
  if (name == "reset") {
    fault.reset_at_once = !value.has_value();
    if (!value) return {};
    return read_counted({"reset", &Fault::reset_after, false}, word, value, fault);
  }
  const bool valued =
      name == "delay" || name == "status" || name == "retry-after" || name == "content-type";
  if (!valued) return std::unexpected(unknown(word, name));
  if (!value || value->empty()) return std::unexpected(wrong(word, "a value is missing"));
  return read_valued(name, word, *value, fault);
}

}  // namespace

Result<Fault> parse_fault(std::string_view text) {
  Fault fault;
  for (const auto part : split(text, ',')) {
    const auto word = trim(part);
    if (word.empty()) continue;
    IM_TRY(read_word(word, fault));
  }
  return fault;
}

}  // namespace infermesh::lab
