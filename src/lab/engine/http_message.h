// HTTP/1.1 on a Connection, server side: reading one request whole and writing answers the way
// vLLM's server does.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "lab/shared/connection.h"
#include "wire/http/head.h"

namespace infermesh::lab {

constexpr std::size_t kBodyBytesMax = 64u << 20;

struct HttpRequest {
  std::string method, path;
  std::string request_id;  // x-request-id
  std::string fault;       // x-fault
  bool keep_alive = true;
  std::string body;
};

// kUnavailable: the peer left or was silent for `idle` between requests: close without a word.
// Another code: bad input.
port::Task<Result<HttpRequest>> read_request(port::Loop& loop, Connection& connection,
                                             http::RequestHeadParser& parser, Duration idle);

struct ReplyHead {
  int status = 200;
  std::string_view content_type = "application/json";  // empty: no such header
  std::string extra;       // further header lines, each with its line end
  std::string request_id;  // echoed when not empty
};

std::string http_date(WallTime now);  // "Tue, 24 Nov 2026 06:18:26 GMT"
// A head with content-length, and the body.
std::string whole_reply(WallTime now, const ReplyHead& head, std::string_view body);
std::string chunked_head(WallTime now, const ReplyHead& head);
void append_chunk(std::string& out, std::string_view bytes);

}  // namespace infermesh::lab
