// The request head that goes to an engine, made from the client's: its own headers pass,
// credentials and everything that belongs to the client's connection do not (protocol rules: RFC
// 9110 7.6.1).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/model/mesh_view.h"
#include "wire/http/head.h"

namespace infermesh::data {

struct UpstreamHead {
  std::string_view path;              // of the route, without a vendor's base
  std::string_view query;             // of the client's target
  std::string_view authority;         // the engine's host:port
  std::string_view api_key;           // the engine's own key, empty when it wants none
  std::string_view request_id;        // of this attempt
  std::string_view traceparent = {};  // in place of the client's; empty: the client's passes
  std::optional<std::uint64_t> content_length;  // absent: chunked
  std::string_view upgrade = {};                // protocol asked for; empty: none
  std::string_view load_format;                 // of the load report asked for; empty: none is
};

std::string make_upstream_head(const http::RequestHead& client, const UpstreamHead& head);

// The path that an engine has for a route: its own prefix for "/v1", where that differs. `made`
// holds it then.
std::string_view path_at(const Endpoint& engine, std::string_view path, std::string& made);

// True for a client's header that is passed on to an engine, if Connection does not list it.
bool is_request_header_passed(const http::Header& header);
bool is_own_header(std::string_view name);  // x-infermesh-...

// True for an engine's response header that is passed on to the client.
bool is_response_header_passed(const http::ResponseHead& head, const http::Header& header);

}  // namespace infermesh::data
