// The heads of wire/http, made of HTTP/2 header blocks (RFC 9113 8.3). nghttp2 has already refused
// what is malformed as HTTP/2 (names in capitals, pseudo-fields twice or late, fields of a
// connection, a content-length that the DATA do not match); what HTTP/1 heads are refused for
// besides is refused here, with the same codes.
#pragma once

#include "wire/http2/fields.h"

namespace infermesh::http2 {

enum class Body : std::uint8_t { kNone, kFollows };

// The views of the head lie in the block. :authority becomes the first header, host.
Result<http::RequestHead> read_request_head(FieldBlock& block, Body body);
// A final answer's head; kUpstreamBadResponse when it has no usable status.
Result<http::ResponseHead> read_response_head(const FieldBlock& block, Body body);

}  // namespace infermesh::http2
