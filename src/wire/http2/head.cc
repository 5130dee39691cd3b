#include "wire/http2/head.h"

#include <fmt/format.h>

#include "base/text.h"

namespace infermesh::http2 {
namespace {

std::unexpected<Error> refuse(std::string detail) {
  return fail(ErrorCode::kBadRequest, std::move(detail));
}

// The pseudo-fields out of the way, the authority as the host.
Result<void> sort_fields(http::Headers fields, http::RequestHead& head) {
  std::string_view authority;
  head.headers.reserve(fields.size());
  head.headers.emplace_back("host", std::string_view());
  for (const http::Header& field : fields) {
    if (field.name == ":method") {
      head.method = field.value;
    } else if (field.name == ":path") {
      head.target = field.value;
    } else if (field.name == ":authority") {
      authority = field.value;
    } else if (field.name == "host") {
      if (!authority.empty() && !iequals(authority, field.value))
        return refuse("The host field differs from :authority.");
      authority = field.value;
    } else if (!field.name.starts_with(':')) {
      head.headers.push_back(field);
    }
  }
  if (authority.empty()) return refuse("The request has no :authority.");
  head.headers.front().value = authority;
  return {};
}

}  // namespace

Result<http::RequestHead> read_request_head(FieldBlock& block, Body body) {
  block.join_cookies();
  http::RequestHead head;
  IM_TRY(sort_fields(block.views(), head));
  if (!head.target.starts_with('/') && head.target != "*")
    return refuse("The path of a request begins with a slash.");
  // What a request line of the same method and target would be refused for.
  const std::string line = fmt::format("{} {} HTTP/1.1", head.method, head.target);
  http::StartLine start;
  if (auto wrong = http::read_start_line(http::MessageKind::kRequest, line, start))
    return std::unexpected(std::move(*wrong));
  if (head.headers.size() > http::kHeadersMax)
    return fail(ErrorCode::kHeaderTooLarge,
                fmt::format("The head has over {} fields.", http::kHeadersMax));
  if (const auto length = http::find(head.headers, http::HeaderName::kContentLength)) {
    head.content_length = parse_u64(*length);
    if (!head.content_length) return refuse("The content-length is not a number.");
  }
  head.until_end = body == Body::kFollows && !head.content_length;
  if (auto wrong = http::complete_request(head)) return std::unexpected(std::move(*wrong));
  return head;
}

Result<http::ResponseHead> read_response_head(const FieldBlock& block, Body body) {
  http::ResponseHead head;
  head.headers = block.views();
  std::erase_if(head.headers,
                [](const http::Header& field) { return field.name.starts_with(':'); });
  const auto status = parse_u64(block.find(":status").value_or(""));
  if (!status || *status < 200 || *status > 599)
    return fail(ErrorCode::kUpstreamBadResponse, "The answer has no status between 200 and 599.");
  head.status = static_cast<int>(*status);
  if (const auto length = http::find(head.headers, http::HeaderName::kContentLength))
    head.content_length = parse_u64(*length);
  head.framing = body == Body::kNone ? http::BodyFraming::kNone : http::BodyFraming::kUntilClose;
  return head;
}

}  // namespace infermesh::http2
