#include "wire/http/head_scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/text.h"

namespace infermesh::http {
namespace {

constexpr int kEmptyLinesMax = 4;

constexpr std::array<bool, 256> kTokenByte = [] {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (char c : {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'}) {
    table[static_cast<unsigned char>(c)] = true;
  }
  return table;
}();

bool is_token_byte(char c) {
  return kTokenByte[static_cast<unsigned char>(c)];
}

bool is_field_byte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
}

bool is_printable(std::string_view text) {  // VCHAR only
  bool good = true;
  for (char c : text) good &= c > 0x20 && c < 0x7f;
  return good;
}

using Verdict = std::optional<Error>;  // nullopt: nothing wrong

Verdict refuse(MessageKind kind, std::string detail) {
  return Error{malformed(kind), std::move(detail), {}};
}

// Bytes that no line may hold, whatever it is.
Verdict check_bytes(MessageKind kind, std::string_view line, std::size_t number) {
  if (is_field_content(line)) return std::nullopt;
  if (line.find('\0') != std::string_view::npos) {
    return refuse(kind, fmt::format("Line {} of the head has a NUL byte.", number));
  }
  if (line.find('\r') != std::string_view::npos) {
    return refuse(kind, fmt::format("Line {} of the head has a CR that no LF follows.", number));
  }
  return refuse(kind, fmt::format("Line {} of the head has a control character.", number));
}

Verdict check_target(std::string_view method, std::string_view target) {
  constexpr auto kKind = MessageKind::kRequest;
  if (!is_printable(target)) {
    return refuse(kKind, "The request target has a byte that must be percent-encoded.");
  }
  if (target.find('#') != std::string_view::npos) {
    return refuse(kKind, "The request target has a fragment (#), which is never sent.");
  }
  if (target.starts_with('/')) return std::nullopt;
  if (target == "*" && method == "OPTIONS") return std::nullopt;
  for (std::string_view scheme : {"http://", "https://"}) {
    if (!iequals(target.substr(0, scheme.size()), scheme)) continue;
    const auto rest = target.substr(scheme.size());
    const auto authority = rest.substr(0, rest.find_first_of("/?"));
    if (authority.empty() || authority.find('@') != std::string_view::npos) {
      return refuse(kKind, "The absolute request target has no host, or has user information.");
    }
    return std::nullopt;
  }
  return refuse(kKind, "The request target must be a path (/...) or an absolute http URL.");
}

Verdict check_request_line(std::string_view line) {
  constexpr auto kKind = MessageKind::kRequest;
  const auto first = line.find(' ');
  const auto second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos) {
    return refuse(kKind, "The request line must be: method, space, target, space, HTTP/1.1.");
  }
  const auto method = line.substr(0, first);
  const auto target = line.substr(first + 1, second - first - 1);
  const auto version = line.substr(second + 1);
  if (!is_token(method)) return refuse(kKind, "The method is not a token.");
  if (target.empty() || version.find(' ') != std::string_view::npos) {
    return refuse(kKind, "The request line has a space too many.");
  }
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    return refuse(kKind, "The version of the request line must be HTTP/1.1 or HTTP/1.0.");
  }
  return check_target(method, target);
}

Verdict check_status_line(std::string_view line) {
  constexpr auto kKind = MessageKind::kResponse;
  const auto version = line.substr(0, 8);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    return refuse(kKind, "The status line does not begin with HTTP/1.1 or HTTP/1.0.");
  }
  const auto status =
      line.size() >= 12 && line[8] == ' ' ? parse_u64(line.substr(9, 3)) : std::nullopt;
  if (!status || *status < 100 || *status > 599 || (line.size() > 12 && line[12] != ' ')) {
    return refuse(kKind, "The status line has no status between 100 and 599.");
  }
  return std::nullopt;
}

Verdict check_header_line(MessageKind kind, std::string_view line, std::size_t number) {
  if (line.front() == ' ' || line.front() == '\t') {
    return refuse(kind,
                  fmt::format("Line {} of the head is folded (begins with a blank).", number));
  }
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) {
    return refuse(kind, fmt::format("Line {} of the head has no colon.", number));
  }
  const auto name = line.substr(0, colon);
  if (is_token(name)) return std::nullopt;
  if (!name.empty() && (name.back() == ' ' || name.back() == '\t')) {
    return refuse(kind, fmt::format("Line {} of the head has a blank before the colon.", number));
  }
  return refuse(kind, fmt::format("Line {} of the head has a name that is not a token.", number));
}

}  // namespace

bool is_token(std::string_view text) {
  bool good = !text.empty();
  for (char c : text) good &= is_token_byte(c);
  return good;
}

bool is_field_content(std::string_view text) {
  // Eight bytes at a time, each word: no byte below 0x20, none equal to 0x7f. A word that fails is
  // read byte by byte, for a tab is allowed.
  constexpr std::uint64_t kOnes = ~std::uint64_t{0} / 255, kHighs = kOnes * 0x80;
  const auto good_word = [](std::string_view eight) {
    std::uint64_t word;
    std::memcpy(&word, eight.data(), sizeof(word));
    const std::uint64_t deletes = word ^ (kOnes * 0x7f);
    const std::uint64_t suspect = ((word - kOnes * 0x20) & ~word) | ((deletes - kOnes) & ~deletes);
    return (suspect & kHighs) == 0 || std::ranges::all_of(eight, is_field_byte);
  };
  if (text.size() < 8) return std::ranges::all_of(text, is_field_byte);
  for (std::size_t at = 0; at + 8 < text.size(); at += 8) {
    if (!good_word(text.substr(at, 8))) return false;
  }
  return good_word(text.substr(text.size() - 8));  // may overlap the one before
}

void HeadScan::restart(std::size_t at) {
  begin_ = line_ = scanned_ = at;
  lines_ = 0;
  empty_lines_ = 0;
  framing_ = {};
}

// Says early that the peer does not speak HTTP, instead of waiting for a line end that never comes.
std::optional<Error> HeadScan::check_first_byte(std::string_view buffer) const {
  const char first = buffer[begin_];
  if (first == 0x16 && kind_ == MessageKind::kRequest) {
    return refuse(kind_, "The bytes look like TLS, but this listener speaks plain HTTP.");
  }
  const bool good = kind_ == MessageKind::kResponse
                        ? first == 'H'
                        : is_token_byte(first) || first == '\r' || first == '\n';
  if (good) return std::nullopt;
  return refuse(kind_, "The message does not begin like HTTP/1.1.");
}

std::optional<Error> HeadScan::check_line(std::string_view line) {
  if (auto wrong = check_bytes(kind_, line, lines_)) return wrong;
  if (lines_ > 1) {
    if (auto wrong = check_header_line(kind_, line, lines_)) return wrong;
    const auto colon = line.find(':');
    return framing_.take(kind_, line.substr(0, colon), line.substr(colon + 1));
  }
  if (kind_ == MessageKind::kRequest) {
    framing_.version_minor = line.ends_with('0') ? 0 : 1;
    return check_request_line(line);
  }
  framing_.version_minor = line.starts_with("HTTP/1.0") ? 0 : 1;
  return check_status_line(line);
}

Result<bool> HeadScan::take_line(std::string_view buffer, std::size_t end) {
  if (end == line_ || buffer[end - 1] != '\r') {
    return fail(malformed(kind_),
                fmt::format("Line {} of the head ends with a bare LF, not CRLF.", lines_ + 1));
  }
  const auto line = buffer.substr(line_, end - 1 - line_);
  line_ = scanned_ = end + 1;
  if (line.empty()) {
    if (lines_ > 0) return true;
    begin_ = line_;  // RFC 9112 2.2: empty lines before a request line are to be ignored
    if (++empty_lines_ <= kEmptyLinesMax) return false;
    return fail(malformed(kind_), "Too many empty lines before the request line.");
  }
  ++lines_;
  if (auto wrong = check_line(line)) return std::unexpected(std::move(*wrong));
  return false;
}

Result<std::optional<std::size_t>> HeadScan::advance(std::string_view buffer) {
  const auto too_large = [this] {
    const auto code =
        kind_ == MessageKind::kRequest ? ErrorCode::kHeaderTooLarge : malformed(kind_);
    return fail(code, fmt::format("The head is over the limit of {}.", format_size(bytes_max_)));
  };
  while (line_ < buffer.size()) {
    if (lines_ == 0) {
      if (auto wrong = check_first_byte(buffer)) return std::unexpected(std::move(*wrong));
    }
    const auto end = buffer.find('\n', scanned_);
    if (end == std::string_view::npos) break;
    if (end >= bytes_max_) return too_large();
    auto ended = take_line(buffer, end);
    if (!ended) return std::unexpected(std::move(ended).error());
    if (*ended) return std::optional(line_);
  }
  scanned_ = buffer.size();
  if (buffer.size() > bytes_max_) return too_large();
  return std::nullopt;
}

}  // namespace infermesh::http
