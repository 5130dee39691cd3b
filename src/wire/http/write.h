// Appenders for HTTP/1.1 message heads and chunk framing. They write onto a string of the caller's,
// so that a head and the first body bytes go out in one gathered write. Control characters in a
// value, target or reason (which would end the line) are written as spaces; a name is a token, as
// every name that was read from a head is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace infermesh::http {

// The target is `path`, with "?" and `query` where there is one.
void append_request_line(std::string& out, std::string_view method, std::string_view path,
                         std::string_view query = {});
// With the usual phrase of the status when `reason` is empty.
void append_status_line(std::string& out, int status, std::string_view reason = {});
void append_header(std::string& out, std::string_view name, std::string_view value);
void append_value(std::string& out, std::string_view value);  // the rest of a header's line
void append_content_length(std::string& out, std::uint64_t length);
void append_chunked(std::string& out);   // transfer-encoding: chunked
void append_head_end(std::string& out);  // the blank line

// "1a\r\n"; the chunk's bytes and kChunkEnd follow. `size` > 0: a chunk of 0 would end the body.
void append_chunk_head(std::string& out, std::uint64_t size);
void append_last_chunk(std::string& out);

constexpr std::string_view kChunkEnd = "\r\n";
constexpr std::string_view kLastChunk = "0\r\n\r\n";
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

std::string_view reason_phrase(int status);  // "Unknown" for a status without one

}  // namespace infermesh::http
