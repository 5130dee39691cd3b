#include "wire/engine/metrics_text.h"

#include <charconv>
#include <cstring>
#include <limits>

namespace infermesh::engines {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

std::string_view skip_blanks(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size() && is_blank(text[at])) ++at;
  return text.substr(at);
}

// Names differ only where the wanted one has its colon.
bool same_name(std::string_view written, std::string_view wanted) {
  for (std::size_t i = 0; i < written.size(); ++i) {
    if (written[i] == wanted[i]) continue;
    if (wanted[i] != ':' || written[i] != '_') return false;
  }
  return true;
}

// One label of a label list, and what follows it.
struct Label {
  std::string_view name;
  std::string_view value;
  std::string_view rest;
};

// Reads `name="value"` with its optional comma at the start of `text`. The value may hold any byte
// but a bare quote.
std::optional<Label> read_label(std::string_view text) {
  text = skip_blanks(text);
  const std::size_t equals = text.find('=');
  if (equals == 0 || equals == std::string_view::npos) return std::nullopt;
  Label label;
  label.name = text.substr(0, equals);
  while (!label.name.empty() && is_blank(label.name.back())) label.name.remove_suffix(1);
  text = skip_blanks(text.substr(equals + 1));
  if (text.empty() || text.front() != '"') return std::nullopt;
  std::size_t at = 1;
  while (at < text.size() && text[at] != '"') at += text[at] == '\\' ? 2 : 1;
  if (at >= text.size()) return std::nullopt;
  label.value = text.substr(1, at - 1);
  label.rest = skip_blanks(text.substr(at + 1));
  if (!label.rest.empty() && label.rest.front() == ',') label.rest.remove_prefix(1);
  return label;
}

// Splits `{labels} value` after the opening brace; nullopt when the brace never closes.
std::optional<std::size_t> closing_brace(std::string_view text) {
  bool quoted = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (quoted && text[at] == '\\') {
      ++at;
    } else if (text[at] == '"') {
      quoted = !quoted;
    } else if (text[at] == '}' && !quoted) {
      return at;
    }
  }
  return std::nullopt;
}

// The number at the start of `text`; a timestamp or an exemplar may follow it.
std::optional<double> read_value(std::string_view text) {
  text = skip_blanks(text);
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) return std::nullopt;
  if (error != std::errc{}) return std::nullopt;
  if (end != text.data() + text.size() && !is_blank(*end) && *end != '\r') return std::nullopt;
  return value;
}

std::size_t name_length(std::string_view line) {
  std::size_t at = 0;
  while (at < line.size() && line[at] != '{' && !is_blank(line[at])) ++at;
  return at;
}

}  // namespace

std::optional<std::uint8_t> MetricTable::find(std::string_view name) const {
  if (name.size() > kNameBytesMax || (lengths_ >> name.size() & 1) == 0) return std::nullopt;
  std::string_view stem = name;
  if (stem.ends_with(kTotal)) stem.remove_suffix(kTotal.size());
  for (std::size_t i = 0; i < count_; ++i) {
    if (metrics_[i].name.size() == stem.size() && same_name(stem, metrics_[i].name)) {
      return metrics_[i].key;
    }
  }
  return std::nullopt;
}

std::optional<std::string_view> MetricSample::label(std::string_view name) const {
  std::string_view text = labels;
  while (auto found = read_label(text)) {
    if (found->name == name) return found->value;
    text = found->rest;
  }
  return std::nullopt;
}

// Buckets of one histogram stand together, so one look at their name is enough.
bool MetricScanner::is_skipped(std::string_view line) const {
  return !skipped_.empty() && line.size() > skipped_.size() &&
         (line[skipped_.size()] == '{' || is_blank(line[skipped_.size()])) &&
         std::memcmp(line.data(), skipped_.data(), skipped_.size()) == 0;
}

bool MetricScanner::next(MetricSample& sample) {
  while (!rest_.empty()) {
    const auto* end = static_cast<const char*>(std::memchr(rest_.data(), '\n', rest_.size()));
    const std::size_t length =
        end == nullptr ? rest_.size() : static_cast<std::size_t>(end - rest_.data());
    std::string_view line = rest_.substr(0, length);
    rest_.remove_prefix(end == nullptr ? length : length + 1);
    if (line.empty() || !table_.wants_first(line.front()) || is_skipped(line)) continue;

    const std::size_t name_bytes = name_length(line);
    const auto key = table_.find(line.substr(0, name_bytes));
    if (!key) {
      skipped_ = line.substr(0, name_bytes);
      continue;
    }
    std::string_view after = skip_blanks(line.substr(name_bytes));
    std::string_view labels;
    if (!after.empty() && after.front() == '{') {
      const auto close = closing_brace(after.substr(1));
      if (!close) continue;
      labels = after.substr(1, *close);
      after = after.substr(*close + 2);
    }
    const auto value = read_value(after);
    if (!value) continue;
    sample = {*key, labels, *value};
    return true;
  }
  return false;
}

}  // namespace infermesh::engines
