#include "core/model/load_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/text.h"

namespace infermesh {
namespace {

constexpr std::size_t kTextMax = 512;
constexpr std::size_t kNameMax = 63;
constexpr std::size_t kLabelsMax = 8;
constexpr std::string_view kTotal = "_total";

bool is_name_char(char c, bool first) {
  const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
  return letter || (!first && c >= '0' && c <= '9');
}

bool is_metric_name(std::string_view text) {
  if (text.empty() || text.size() > kNameMax || !is_name_char(text[0], true)) return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return is_name_char(c, false); });
}

template <typename... Args>
auto refuse(fmt::format_string<Args...> form, Args&&... args) {
  return fail(ErrorCode::kInvalidConfig, fmt::format(form, std::forward<Args>(args)...));
}

// `name="value", ...` between braces. Values hold no quotes and no backslashes.
Result<void> read_labels(std::string_view text, LoadOperand& operand) {
  text = trim(text);
  while (!text.empty()) {
    const std::size_t equals = text.find('=');
    const std::string_view name = trim(text.substr(0, equals));
    if (equals == std::string_view::npos || !is_metric_name(name)) {
      return refuse("\"{}\" is not a label, such as state=\"waiting\"", text);
    }
    text = trim(text.substr(equals + 1));
    const std::size_t close = text.starts_with('"') ? text.find('"', 1) : std::string_view::npos;
    if (close == std::string_view::npos) {
      return refuse("the value of label {} must stand in quotes, such as {}=\"waiting\"", name,
                    name);
    }
    operand.labels.emplace_back(name, text.substr(1, close - 1));
    if (operand.labels.size() > kLabelsMax) return refuse("more than {} labels", kLabelsMax);
    text = trim(text.substr(close + 1));
    if (text.empty()) break;
    if (text[0] != ',') return refuse("a comma is needed between labels, before \"{}\"", text);
    text = trim(text.substr(1));
  }
  return {};
}

Result<LoadOperand> read_metric(std::string_view text) {
  LoadOperand operand;
  const std::size_t brace = text.find('{');
  std::string_view name = trim(text.substr(0, brace));
  if (!is_metric_name(name)) {
    return refuse("\"{}\" is neither a metric name of at most {} characters nor a JSON pointer",
                  text, kNameMax);
  }
  if (brace != std::string_view::npos) {
    if (!text.ends_with('}')) return refuse("the brace of \"{}\" is not closed", text);
    IM_TRY(read_labels(text.substr(brace + 1, text.size() - brace - 2), operand));
  }
  if (name.ends_with(kTotal) && name.size() > kTotal.size()) name.remove_suffix(kTotal.size());
  operand.text = name;
  return operand;
}

Result<LoadOperand> read_operand(std::string_view text) {
  LoadOperand operand;
  if (text.starts_with('/')) {
    if (!is_json_pattern(text)) return refuse("\"{}\" is not a JSON pointer", text);
    operand.kind = LoadOperand::Kind::kPointer;
    operand.text = text;
    return operand;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), operand.number);
  if (error != std::errc{} || end != text.data() + text.size()) return read_metric(text);
  if (!std::isfinite(operand.number) || operand.number <= 0) {
    return refuse("{} cannot be a factor; give a number over 0", text);
  }
  operand.kind = LoadOperand::Kind::kNumber;
  return operand;
}

// Outside of quotes, so that a label's value may hold it.
std::size_t find_operator(std::string_view text) {
  bool quoted = false;
  for (std::size_t at = 0; at + 3 <= text.size(); ++at) {
    if (text[at] == '"') quoted = !quoted;
    const std::string_view here = text.substr(at, 3);
    if (!quoted && (here == " / " || here == " * " || here == " + ")) return at;
  }
  return std::string_view::npos;
}

LoadOperator operator_of(char sign) {
  if (sign == '/') return LoadOperator::kOver;
  return sign == '*' ? LoadOperator::kTimes : LoadOperator::kPlus;
}

}  // namespace

bool is_json_pattern(std::string_view text) {
  if (!text.starts_with('/') || text.size() > kTextMax) return false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (static_cast<unsigned char>(text[at]) < ' ') return false;
    const char next = at + 1 < text.size() ? text[at + 1] : '\0';
    if (text[at] == '~' && next != '0' && next != '1') return false;
  }
  return true;
}

Result<LoadSource> parse_load_source(std::string_view text) {
  text = trim(text);
  if (text.empty()) return refuse("a metric's name or a JSON pointer is needed");
  if (text.size() > kTextMax) return refuse("over {} characters", kTextMax);
  LoadSource source;
  const std::size_t at = find_operator(text);
  auto left = read_operand(trim(text.substr(0, at)));
  if (!left) return std::unexpected(left.error());
  if (left->kind == LoadOperand::Kind::kNumber) {
    return refuse("\"{}\" tells nothing of the engine; begin with a metric or a pointer", text);
  }
  source.left = std::move(*left);
  if (at == std::string_view::npos) return source;
  source.op = operator_of(text[at + 1]);
  auto right = read_operand(trim(text.substr(at + 3)));
  if (!right) return std::unexpected(right.error());
  source.right = std::move(*right);
  if (source.right.kind == LoadOperand::Kind::kNumber) {
    if (source.op != LoadOperator::kPlus) return source;
    return refuse("\"{}\" adds a number, which no engine has told", text);
  }
  if (source.right.kind != source.left.kind) {
    return refuse("\"{}\" mixes a metric and a JSON pointer, which cannot be on one page", text);
  }
  return source;
}

}  // namespace infermesh
