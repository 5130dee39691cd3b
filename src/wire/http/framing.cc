#include "wire/http/framing.h"

#include "base/text.h"

namespace infermesh::http {
namespace {

constexpr std::string_view kContentLength = "content-length";
constexpr std::string_view kTransferEncoding = "transfer-encoding";

std::optional<Error> refuse(MessageKind kind, std::string detail, std::string_view header) {
  return Error{malformed(kind), std::move(detail), std::string(header)};
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

}  // namespace infermesh::http
