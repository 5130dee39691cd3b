#include "data/exchange/upstream_head.h"

#include "base/text.h"
#include "wire/engine/orca.h"
#include "wire/http/websocket.h"
#include "wire/http/write.h"

namespace infermesh::data {
namespace {

constexpr std::string_view kOwnPrefix = "x-infermesh-";
constexpr std::size_t kHeadBytesUsual = 640;

using http::HeaderName;

// Credentials are the mesh's business and the rest is written anew.
constexpr http::HeaderNames kNotSent{
    HeaderName::kHost,           HeaderName::kAuthorization,
    HeaderName::kXApiKey,        HeaderName::kApiKey,
    HeaderName::kXGoogApiKey,    HeaderName::kExpect,
    HeaderName::kAcceptEncoding, HeaderName::kXRequestId,
    HeaderName::kContentLength,  HeaderName::kEndpointLoadMetricsFormat};

constexpr http::HeaderNames kNotReturned{HeaderName::kContentLength, HeaderName::kServer,
                                         HeaderName::kXRequestId, HeaderName::kRequestId,
                                         HeaderName::kEndpointLoadMetrics};

// Browsers cannot set headers, so they send their keys as protocols.
void append_protocols(std::string& out, std::string_view offered) {
  const std::string protocols = http::public_protocols(offered);
  if (!protocols.empty()) http::append_header(out, "sec-websocket-protocol", protocols);
}

}  // namespace

bool is_own_header(std::string_view name) {
  return name.size() > kOwnPrefix.size() && (name[0] | 0x20) == kOwnPrefix[0] &&
         iequals(name.substr(0, kOwnPrefix.size()), kOwnPrefix);
}

bool is_request_header_passed(const http::Header& header) {
  return !http::kHopByHop.has(header.id) && !kNotSent.has(header.id) && !is_own_header(header.name);
}

std::string make_upstream_head(const http::RequestHead& client, const UpstreamHead& head) {
  std::string out;
  out.reserve(kHeadBytesUsual);
  // Of a HEAD the engine is asked as by GET: its answer then says where it ends.
  const std::string_view method = client.method == "HEAD" ? "GET" : client.method;
  http::append_request_line(out, method, head.path, head.query);
  http::append_header(out, "host", head.authority);
  for (const http::Header& header : client.headers) {
    if (!is_request_header_passed(header)) continue;
    if (!head.traceparent.empty() && header.id == HeaderName::kTraceparent) continue;
    if (client.has_connection && http::connection_lists(client.headers, header.name)) continue;
    if (header.id == HeaderName::kSecWebsocketProtocol) {
      append_protocols(out, header.value);
      continue;
    }
    http::append_header(out, header.name, header.value);
  }
  out += "accept-encoding: identity\r\n";
  http::append_header(out, "x-request-id", head.request_id);
  if (!head.traceparent.empty()) http::append_header(out, "traceparent", head.traceparent);
  if (!head.api_key.empty()) {
    out += "authorization: Bearer ";
    http::append_value(out, head.api_key);
  }
  if (!head.load_format.empty()) {
    http::append_header(out, engines::kOrcaRequestHeader, head.load_format);
  }
  if (!head.upgrade.empty()) {
    http::append_header(out, "connection", "Upgrade");
    http::append_header(out, "upgrade", head.upgrade);
  } else if (method == "GET") {
    // It has no body, and says nothing of one.
  } else if (head.content_length) {
    http::append_content_length(out, *head.content_length);
  } else {
    http::append_chunked(out);
  }
  http::append_head_end(out);
  return out;
}

std::string_view path_at(const Endpoint& engine, std::string_view path, std::string& made) {
  constexpr std::string_view kUsual = "/v1";
  const std::string_view prefix = engine.openai_prefix;
  if (prefix == kUsual || !path.starts_with("/v1/")) return path;
  made = prefix == "/" ? std::string_view() : prefix;
  made += path.substr(kUsual.size());
  return made;
}

bool is_response_header_passed(const http::ResponseHead& head, const http::Header& header) {
  if (http::kHopByHop.has(header.id) || kNotReturned.has(header.id) || is_own_header(header.name)) {
    return false;
  }
  return !head.has_connection || !http::connection_lists(head.headers, header.name);
}

}  // namespace infermesh::data
