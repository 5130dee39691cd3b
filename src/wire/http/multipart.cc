#include "wire/http/multipart.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/text.h"

namespace infermesh::http {
namespace {

constexpr std::size_t kBoundaryLineMax = 64;  // blanks may follow a boundary

// Takes `text` up to the next separator that stands outside of quotes.
std::string_view take_until(std::string_view& text, char separator) {
  bool quoted = false;
  std::size_t at = 0;
  for (; at < text.size(); ++at) {
    if (quoted && text[at] == '\\') {
      ++at;
    } else if (text[at] == '"') {
      quoted = !quoted;
    } else if (!quoted && text[at] == separator) {
      break;
    }
  }
  const std::string_view taken = text.substr(0, std::min(at, text.size()));
  text.remove_prefix(std::min(at + 1, text.size()));
  return taken;
}

std::string unquoted(std::string_view text) {
  if (text.size() < 2 || !text.starts_with('"') || !text.ends_with('"')) return std::string(text);
  text = text.substr(1, text.size() - 2);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    out += text[i];
  }
  return out;
}

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t") == std::string_view::npos;
}

// The name that a part's head gives it.
std::string name_in(std::string_view head) {
  while (!head.empty()) {
    const auto end = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(std::min(end + 2, head.size()));
    const auto colon = std::min(line.find(':'), line.size());
    if (!iequals(trim(line.substr(0, colon)), "content-disposition")) continue;
    return parameter_of(line.substr(std::min(colon + 1, line.size())), "name").value_or("");
  }
  return {};
}

}  // namespace

std::optional<std::string> parameter_of(std::string_view header_value, std::string_view name) {
  take_until(header_value, ';');
  while (!header_value.empty()) {
    std::string_view parameter = take_until(header_value, ';');
    const auto equals = parameter.find('=');
    if (equals == std::string_view::npos) continue;
    if (!iequals(trim(parameter.substr(0, equals)), name)) continue;
    return unquoted(trim(parameter.substr(equals + 1)));
  }
  return std::nullopt;
}

std::optional<std::string> form_boundary(std::string_view content_type) {
  const std::string_view type = trim(content_type.substr(0, content_type.find(';')));
  if (!iequals(type, "multipart/form-data")) return std::nullopt;
  auto boundary = parameter_of(content_type, "boundary");
  const bool usable =
      boundary && !boundary->empty() && boundary->size() <= kBoundaryMax &&
      std::ranges::none_of(*boundary, [](char c) { return c == '\r' || c == '\n'; });
  return usable ? boundary : std::nullopt;
}

// The first boundary may stand at the very beginning: as if a line had ended before it.
MultipartScanner::MultipartScanner(std::string_view boundary)
    : delimiter_("\r\n--" + std::string(boundary)), matched_(2) {}

void MultipartScanner::feed(std::string_view bytes) {
  base_ += at_;
  input_ = bytes;
  at_ = 0;
}

MultipartScanner::Token MultipartScanner::next() {
  while (at_ < input_.size()) {
    std::optional<Token> token;
    switch (state_) {
      case State::kPreamble:
      case State::kData:
        token = search();
        break;
      case State::kBoundaryLine:
        token = boundary_line();
        break;
      case State::kHead:
        token = head();
        break;
      case State::kDone:
        at_ = input_.size();
        break;
      case State::kFailed:
        return {PartToken::kError};
    }
    if (token) return *token;
  }
  return {state_ == State::kFailed ? PartToken::kError : PartToken::kMore};
}

// Only its first byte is a CR, so what has matched in vain begins no other match.
std::optional<MultipartScanner::Token> MultipartScanner::search() {
  const bool in_part = state_ == State::kData;
  const std::uint64_t begin = offset();
  if (matched_ == 0) {
    const auto* from = input_.data() + at_;
    const auto* cr = static_cast<const char*>(std::memchr(from, '\r', input_.size() - at_));
    const std::size_t plain =
        cr == nullptr ? input_.size() - at_ : static_cast<std::size_t>(cr - from);
    at_ += plain;
    if (cr != nullptr) {
      ++at_;
      matched_ = 1;
    }
    if (in_part && plain > 0) return Token{PartToken::kData, {from, plain}, begin};
    return std::nullopt;
  }
  while (at_ < input_.size() && matched_ < delimiter_.size() &&
         input_[at_] == delimiter_[matched_]) {
    ++at_;
    ++matched_;
  }
  if (matched_ == delimiter_.size()) {
    matched_ = 0;
    state_ = State::kBoundaryLine;
    line_.clear();
    if (!in_part) return std::nullopt;
    return Token{PartToken::kPartEnd, {}, offset() - delimiter_.size()};
  }
  if (at_ == input_.size()) return std::nullopt;
  const std::size_t vain = std::exchange(matched_, 0);
  if (!in_part) return std::nullopt;
  return Token{PartToken::kData, std::string_view(delimiter_).substr(0, vain), offset() - vain};
}

std::optional<MultipartScanner::Token> MultipartScanner::boundary_line() {
  line_ += input_[at_++];
  if (line_ == "--") {
    state_ = State::kDone;
    return Token{PartToken::kEnd, {}, offset()};
  }
  if (line_.ends_with("\r\n")) {
    if (!is_blank(std::string_view(line_).substr(0, line_.size() - 2))) {
      return fail("a boundary is followed by other text on its line");
    }
    state_ = State::kHead;
    line_.clear();
    return std::nullopt;
  }
  if (line_.size() > kBoundaryLineMax) return fail("a boundary's line does not end");
  return std::nullopt;
}

std::optional<MultipartScanner::Token> MultipartScanner::head() {
  line_ += input_[at_++];
  if (line_ != "\r\n" && !line_.ends_with("\r\n\r\n")) {
    if (line_.size() >= kPartHeadMax) return fail("the head of a part is over 16 KiB");
    return std::nullopt;
  }
  name_ = name_in(line_);
  line_.clear();
  state_ = State::kData;
  return Token{PartToken::kPart, name_, offset()};
}

MultipartScanner::Token MultipartScanner::fail(std::string_view why) {
  state_ = State::kFailed;
  error_ = why;
  return {PartToken::kError};
}

}  // namespace infermesh::http
