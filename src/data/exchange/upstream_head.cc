#include "data/exchange/upstream_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "wire/engine/orca.h"
#include "wire/http/websocket.h"
#include "wire/http/write.h"

namespace infermesh::data {
namespace {

constexpr std::string_view kOwnPrefix = "x-infermesh-";

// Credentials are the mesh's business and the rest is written anew.
constexpr std::array<std::string_view, 10> kNotSent{
    "host",   "authorization",   "x-api-key",    "api-key",        "x-goog-api-key",
    "expect", "accept-encoding", "x-request-id", "content-length", "endpoint-load-metrics-format"};

constexpr std::array<std::string_view, 5> kNotReturned{"content-length", "server", "x-request-id",
                                                       "request-id", "endpoint-load-metrics"};

template <std::size_t N>
bool lists(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view entry) { return http::is_named(name, entry); });
}

bool is_own(std::string_view name) {
  return name.size() > kOwnPrefix.size() && iequals(name.substr(0, kOwnPrefix.size()), kOwnPrefix);
}

bool may_be_listed(const http::Headers& headers) {
  return http::find(headers, "connection").has_value();
}

// Browsers cannot set headers, so they send their keys as protocols.
void append_protocols(std::string& out, std::string_view offered) {
  const std::string protocols = http::public_protocols(offered);
  if (!protocols.empty()) http::append_header(out, "sec-websocket-protocol", protocols);
}

}  // namespace

std::string make_upstream_head(const http::RequestHead& client, const UpstreamHead& head) {
  std::string out;
  out.reserve(512);
  std::string target(head.path);
  if (!head.query.empty()) target.append("?").append(head.query);
  http::append_request_line(out, client.method, target);
  http::append_header(out, "host", head.authority);
  const bool listed = may_be_listed(client.headers);
  for (const http::Header& header : client.headers) {
    if (http::is_hop_by_hop(header.name) || lists(kNotSent, header.name) || is_own(header.name))
      continue;
    if (!head.traceparent.empty() && http::is_named(header.name, "traceparent")) continue;
    if (listed && http::connection_lists(client.headers, header.name)) continue;
    if (http::is_named(header.name, "sec-websocket-protocol")) {
      append_protocols(out, header.value);
      continue;
    }
    http::append_header(out, header.name, header.value);
  }
  http::append_header(out, "accept-encoding", "identity");
  http::append_header(out, "x-request-id", head.request_id);
  if (!head.traceparent.empty()) http::append_header(out, "traceparent", head.traceparent);
  if (!head.api_key.empty())
    http::append_header(out, "authorization", fmt::format("Bearer {}", head.api_key));
  if (!head.load_format.empty())
    http::append_header(out, engines::kOrcaRequestHeader, head.load_format);
  if (!head.upgrade.empty()) {
    http::append_header(out, "connection", "Upgrade");
    http::append_header(out, "upgrade", head.upgrade);
  } else if (client.method == "GET") {
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

bool is_response_header_passed(const http::ResponseHead& head, std::string_view name) {
  if (http::is_hop_by_hop(name) || lists(kNotReturned, name) || is_own(name)) return false;
  return !http::connection_lists(head.headers, name);
}

}  // namespace infermesh::data
