#include "wire/http/head_scan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "wire/http/find_control.h"

namespace infermesh::http {
namespace {

constexpr int kEmptyLinesMax = 4;
constexpr std::size_t kHeadersUsual = 16;

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

std::size_t token_size(std::string_view text) {
  std::size_t size = 0;
  while (size < text.size() && is_token_byte(text[size])) ++size;
  return size;
}

std::uintptr_t address_of(const char* at) {
  return reinterpret_cast<std::uintptr_t>(at);
}

// The buffer has moved from `base` to `now`, and with it all that was viewed.
void follow(Headers& headers, std::uintptr_t base, const char* now) {
  const auto moved = [&](std::string_view text) {
    return std::string_view(now + (address_of(text.data()) - base), text.size());
  };
  for (Header& header : headers) {
    header.name = moved(header.name);
    header.value = moved(header.value);
  }
}

}  // namespace

bool is_token(std::string_view text) {
  return !text.empty() && token_size(text) == text.size();
}

bool is_field_content(std::string_view text) {
  const char* const end = text.data() + text.size();
  return find_control(text.data(), end) == end;
}

void HeadScan::restart(std::size_t at) {
  begin_ = line_ = scanned_ = at;
  lines_ = 0;
  empty_lines_ = 0;
  start_line_ = {};
  framing_ = {};
  error_ = {};
}

HeadScan::Step HeadScan::refuse(std::string detail) {
  error_ = Error{malformed(kind_), std::move(detail), {}};
  return Step::kRefused;
}

HeadScan::Step HeadScan::refuse_size() {
  const auto code = kind_ == MessageKind::kRequest ? ErrorCode::kHeaderTooLarge : malformed(kind_);
  error_ =
      Error{code, fmt::format("The head is over the limit of {}.", format_size(bytes_max_)), {}};
  return Step::kRefused;
}

// `rest` begins with the byte that no line may hold.
HeadScan::Step HeadScan::refuse_control(std::string_view rest) {
  const std::size_t number = lines_ + 1;
  switch (rest.front()) {
    case '\n':
      return refuse(fmt::format("Line {} of the head ends with a bare LF, not CRLF.", number));
    case '\r':
      return refuse(fmt::format("Line {} of the head has a CR that no LF follows.", number));
    case '\0':
      return refuse(fmt::format("Line {} of the head has a NUL byte.", number));
    default:
      return refuse(fmt::format("Line {} of the head has a control character.", number));
  }
}

HeadScan::Step HeadScan::refuse_header(std::string_view line) {
  const std::size_t number = lines_ + 1;
  if (line.front() == ' ' || line.front() == '\t') {
    return refuse(fmt::format("Line {} of the head is folded (begins with a blank).", number));
  }
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) {
    return refuse(fmt::format("Line {} of the head has no colon.", number));
  }
  if (colon > 0 && (line[colon - 1] == ' ' || line[colon - 1] == '\t')) {
    return refuse(fmt::format("Line {} of the head has a blank before the colon.", number));
  }
  return refuse(fmt::format("Line {} of the head has a name that is not a token.", number));
}

// Says early that the peer does not speak HTTP, instead of waiting for a line end that never comes.
std::optional<Error> HeadScan::check_first_byte(char first) const {
  if (first == 0x16 && kind_ == MessageKind::kRequest) {
    return Error{
        malformed(kind_), "The bytes look like TLS, but this listener speaks plain HTTP.", {}};
  }
  const bool good = kind_ == MessageKind::kResponse
                        ? first == 'H'
                        : is_token_byte(first) || first == '\r' || first == '\n';
  if (good) return std::nullopt;
  return Error{malformed(kind_), "The message does not begin like HTTP/1.1.", {}};
}

bool HeadScan::take_header(std::string_view line, Headers& headers) {
  const std::size_t name_size = token_size(line);
  if (name_size == 0 || name_size == line.size() || line[name_size] != ':') {
    refuse_header(line);
    return false;
  }
  if (headers.size() == kHeadersMax) {
    const auto code =
        kind_ == MessageKind::kRequest ? ErrorCode::kHeaderTooLarge : malformed(kind_);
    error_ = Error{code, fmt::format("The head has more than {} headers.", kHeadersMax), {}};
    return false;
  }
  const Header& header =
      headers.emplace_back(line.substr(0, name_size), trim_blanks(line.substr(name_size + 1)));
  if (header.id != HeaderName::kContentLength && header.id != HeaderName::kTransferEncoding) {
    return true;
  }
  // Spaces after it are let pass, a tab is not: some readers take it for a part of the value.
  const auto value = line.back() == '\t' ? line.substr(name_size + 1) : header.value;
  if (auto wrong = framing_.take(kind_, header.id, value)) error_ = std::move(*wrong);
  return !error_;
}

bool HeadScan::take_line(std::string_view line, Headers& headers) {
  if (lines_ > 0) {
    if (!take_header(line, headers)) return false;
  } else {
    if (auto wrong = read_start_line(kind_, line, start_line_)) {
      error_ = std::move(*wrong);
      return false;
    }
    framing_.version_minor = start_line_.version_minor;
    if (headers.capacity() == 0) headers.reserve(kHeadersUsual);
  }
  ++lines_;
  return true;
}

// RFC 9112 2.2: empty lines before a request line are to be ignored.
bool HeadScan::take_empty_line() {
  if (lines_ > 0) return true;
  begin_ = line_;
  if (++empty_lines_ > kEmptyLinesMax) refuse("Too many empty lines before the request line.");
  return false;
}

HeadScan::Step HeadScan::advance(std::string_view buffer, Headers& headers) {
  if (base_ != address_of(buffer.data())) {
    follow(headers, base_, buffer.data());
    base_ = address_of(buffer.data());
  }
  const char* const end = buffer.data() + buffer.size();
  while (line_ < buffer.size()) {
    if (lines_ == 0) {
      if (auto wrong = check_first_byte(buffer[line_])) {
        error_ = std::move(*wrong);
        return Step::kRefused;
      }
    }
    const auto at =
        static_cast<std::size_t>(find_control(buffer.data() + scanned_, end) - buffer.data());
    scanned_ = at;
    if (at == buffer.size()) break;
    const bool is_cr = buffer[at] == '\r';
    if (at + (is_cr ? 1 : 0) >= bytes_max_) return refuse_size();
    if (is_cr && at + 1 == buffer.size()) return Step::kMore;  // its LF may come yet
    if (!is_cr || buffer[at + 1] != '\n') return refuse_control(buffer.substr(at));
    const auto line = buffer.substr(line_, at - line_);
    line_ = scanned_ = at + 2;
    if (!line.empty()) {
      if (!take_line(line, headers)) return Step::kRefused;
    } else if (take_empty_line()) {
      return Step::kDone;
    } else if (error_) {
      return Step::kRefused;
    }
  }
  return buffer.size() > bytes_max_ ? refuse_size() : Step::kMore;
}

}  // namespace infermesh::http
