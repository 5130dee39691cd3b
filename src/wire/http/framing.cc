#include "wire/http/framing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "wire/http/head_scan.h"

namespace infermesh::http {
namespace {

constexpr std::string_view kContentLength = "content-length";
constexpr std::string_view kTransferEncoding = "transfer-encoding";

std::optional<Error> refuse(MessageKind kind, std::string detail, std::string_view header) {
  return Error{malformed(kind), std::move(detail), std::string(header)};
}

using Verdict = std::optional<Error>;  // nullopt: nothing wrong
constexpr auto kNowhere = std::string_view::npos;

// RFC 9110 9, RFC 5789 and the WebDAV family; what else calls itself a method is refused, as nobody
// behind this router would know it either.
constexpr std::array<std::string_view, 34> kMethods{
    "POST",       "GET",    "OPTIONS",  "HEAD",      "PUT",         "DELETE", "PATCH",
    "CONNECT",    "TRACE",  "COPY",     "LOCK",      "MKCOL",       "MOVE",   "PROPFIND",
    "PROPPATCH",  "SEARCH", "UNLOCK",   "BIND",      "REBIND",      "UNBIND", "ACL",
    "REPORT",     "MERGE",  "CHECKOUT", "M-SEARCH",  "NOTIFY",      "PURGE",  "MKACTIVITY",
    "MKCALENDAR", "LINK",   "UNLINK",   "SUBSCRIBE", "UNSUBSCRIBE", "SOURCE"};

Verdict refuse_request(std::string detail) {
  return Error{malformed(MessageKind::kRequest), std::move(detail), {}};
}
Verdict refuse_response(std::string detail) {
  return Error{malformed(MessageKind::kResponse), std::move(detail), {}};
}

constexpr std::array<bool, 256> kHostByte = [] {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (char c : std::string_view("-._~%!$&'()*+;=:[]")) table[static_cast<unsigned char>(c)] = true;
  return table;
}();

bool is_target_byte(char c) {  // VCHAR but for the fragment's sign
  return c > 0x20 && c < 0x7f && c != '#';
}

Verdict check_absolute(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!iequals(target.substr(0, scheme.size()), scheme)) continue;
    const auto rest = target.substr(scheme.size());
    const auto authority = rest.substr(0, rest.find_first_of("/?"));
    if (authority.find('@') != kNowhere) {
      return refuse_request("The absolute request target has user information.");
    }
    if (!authority.empty() && is_host(authority)) return std::nullopt;
    return refuse_request("The absolute request target has no host name with an optional port.");
  }
  return refuse_request("The request target must be a path (/...) or an absolute http URL.");
}

Verdict check_target(std::string_view method, std::string_view target) {
  if (!std::ranges::all_of(target, is_target_byte)) {
    const bool printable = std::ranges::all_of(target, [](char c) { return c > 0x20 && c < 0x7f; });
    return refuse_request(printable
                              ? "The request target has a fragment (#), which is never sent."
                              : "The request target has a byte that must be percent-encoded.");
  }
  if (method == "CONNECT") {
    return refuse_request("The request target of CONNECT asks for a tunnel; there is none here.");
  }
  if (target.front() == '/') return std::nullopt;
  if (target == "*" && method == "OPTIONS") return std::nullopt;
  return check_absolute(target);
}

Verdict read_request_line(std::string_view line, StartLine& start) {
  const auto first = line.find(' ');
  const auto second = first == kNowhere ? first : line.find(' ', first + 1);
  if (second == kNowhere) {
    return refuse_request("The request line must be: method, space, target, space, HTTP/1.1.");
  }
  const auto method = line.substr(0, first);
  const auto target = line.substr(first + 1, second - first - 1);
  const auto version = line.substr(second + 1);
  const bool known = std::ranges::find(kMethods, method) != kMethods.end();
  if (!known && !is_token(method)) return refuse_request("The method is not a token.");
  if (target.empty() || version.find(' ') != kNowhere) {
    return refuse_request("The request line has a space too many.");
  }
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    return refuse_request("The version of the request line must be HTTP/1.1 or HTTP/1.0.");
  }
  if (auto wrong = check_target(method, target)) return wrong;
  if (!known) {
    return refuse_request(fmt::format("The method {} is not known.", method.substr(0, 32)));
  }
  start.method_size = static_cast<std::uint32_t>(method.size());
  start.target_begin = static_cast<std::uint32_t>(first + 1);
  start.target_size = static_cast<std::uint32_t>(target.size());
  start.version_minor = version.back() - '0';
  return std::nullopt;
}

Verdict read_status_line(std::string_view line, StartLine& start) {
  const auto version = line.substr(0, 8);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    return refuse_response("The status line does not begin with HTTP/1.1 or HTTP/1.0.");
  }
  const auto status =
      line.size() >= 12 && line[8] == ' ' ? parse_u64(line.substr(9, 3)) : std::nullopt;
  if (!status || *status < 100 || *status > 599 || (line.size() > 12 && line[12] != ' ')) {
    return refuse_response("The status line has no status between 100 and 599.");
  }
  start.status = static_cast<int>(*status);
  start.version_minor = version.back() - '0';
  start.reason_begin = static_cast<std::uint32_t>(std::min<std::size_t>(line.size(), 13));
  start.reason_size = static_cast<std::uint32_t>(line.size()) - start.reason_begin;
  return std::nullopt;
}

}  // namespace

ErrorCode malformed(MessageKind kind) {
  return kind == MessageKind::kRequest ? ErrorCode::kBadRequest : ErrorCode::kUpstreamBadResponse;
}

std::string_view trim_blanks(std::string_view text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  return text;
}

std::optional<Error> Framing::take(MessageKind kind, HeaderName name, std::string_view value) {
  const bool is_length = name == HeaderName::kContentLength;
  if (is_length ? chunked : content_length.has_value()) {
    return refuse(kind, "Content-Length and Transfer-Encoding are both given.", kTransferEncoding);
  }
  return is_length ? take_length(kind, value) : take_encoding(kind, value);
}

std::optional<Error> Framing::take_length(MessageKind kind, std::string_view value) {
  if (content_length) return refuse(kind, "Content-Length is given twice.", kContentLength);
  content_length = parse_u64(value);
  if (!content_length) {
    return refuse(kind, "Content-Length is not a plain decimal number.", kContentLength);
  }
  if (*content_length > std::uint64_t{INT64_MAX}) {
    return refuse(kind, "Content-Length is too large a number.", kContentLength);
  }
  return std::nullopt;
}

std::optional<Error> Framing::take_encoding(MessageKind kind, std::string_view value) {
  if (chunked) return refuse(kind, "Transfer-Encoding is given twice.", kTransferEncoding);
  if (!iequals(value, "chunked")) {
    return refuse(kind, "Transfer-Encoding must be exactly `chunked`.", kTransferEncoding);
  }
  if (version_minor == 0) {
    return refuse(kind, "HTTP/1.0 has no Transfer-Encoding.", kTransferEncoding);
  }
  chunked = true;
  return std::nullopt;
}

bool is_host(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return kHostByte[static_cast<unsigned char>(c)]; });
}

std::optional<Error> read_start_line(MessageKind kind, std::string_view line, StartLine& start) {
  return kind == MessageKind::kRequest ? read_request_line(line, start)
                                       : read_status_line(line, start);
}

}  // namespace infermesh::http
