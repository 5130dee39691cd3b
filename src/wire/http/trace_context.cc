#include "wire/http/trace_context.h"

#include <fmt/format.h>

namespace infermesh::http {
namespace {

constexpr std::size_t kSize = 55;  // 00-<32>-<16>-<2>
constexpr std::size_t kTraceAt = 3, kSpanAt = 36, kFlagsAt = 53;
constexpr unsigned kSampledFlag = 1;

// Lower-case digits only: the standard forbids the others.
std::optional<std::uint64_t> parse_hex(std::string_view digits) {
  std::uint64_t value = 0;
  for (const char c : digits) {
    unsigned digit;
    if (c >= '0' && c <= '9') {
      digit = static_cast<unsigned>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<unsigned>(c - 'a') + 10;
    } else {
      return std::nullopt;
    }
    value = value << 4 | digit;
  }
  return value;
}

bool is_laid_out(std::string_view text) {
  if (text.size() < kSize) return false;
  const std::string_view version = text.substr(0, 2);
  if (!parse_hex(version) || version == "ff") return false;
  if (text.size() > kSize && (version == "00" || text[kSize] != '-')) return false;
  return text[kTraceAt - 1] == '-' && text[kSpanAt - 1] == '-' && text[kFlagsAt - 1] == '-';
}

}  // namespace

std::optional<TraceContext> parse_traceparent(std::string_view text) {
  if (!is_laid_out(text)) return std::nullopt;
  const auto high = parse_hex(text.substr(kTraceAt, 16));
  const auto low = parse_hex(text.substr(kTraceAt + 16, 16));
  const auto span = parse_hex(text.substr(kSpanAt, 16));
  const auto flags = parse_hex(text.substr(kFlagsAt, 2));
  if (!high || !low || !span || !flags) return std::nullopt;
  if ((*high | *low) == 0 || *span == 0) return std::nullopt;
  return TraceContext{
      {*high, *low}, *span, (*flags & kSampledFlag) != 0 ? Sampled::kYes : Sampled::kNo};
}

std::string format_traceparent(const TraceContext& context) {
  return fmt::format("00-{:016x}{:016x}-{:016x}-{:02x}", context.trace.high, context.trace.low,
                     context.span, context.sampled == Sampled::kYes ? kSampledFlag : 0);
}

}  // namespace infermesh::http
