#include "wire/http/write.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/assert.h"
#include "wire/http/head_scan.h"

namespace infermesh::http {
namespace {

// RFC 9110 15, RFC 6585, RFC 4918; 499 and 529 are the inference world's own.
constexpr std::array<std::pair<int, std::string_view>, 48> kReasons = {{
    {100, "Continue"},
    {101, "Switching Protocols"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {424, "Failed Dependency"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {529, "Overloaded"},
}};
static_assert(std::ranges::is_sorted(kReasons));

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && byte != '\t') || byte == 0x7f;
}

void append_clean(std::string& out, std::string_view text) {
  if (is_field_content(text)) {
    out += text;
    return;
  }
  const auto from = static_cast<std::string::difference_type>(out.size());
  out += text;
  std::replace_if(out.begin() + from, out.end(), is_control, ' ');
}

void append_number(std::string& out, std::uint64_t number, int base) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, base).ptr;
  out.append(digits.data(), end);
}

}  // namespace

std::string_view reason_phrase(int status) {
  const auto at =
      std::ranges::lower_bound(kReasons, status, {}, &std::pair<int, std::string_view>::first);
  return at != kReasons.end() && at->first == status ? at->second : "Unknown";
}

void append_request_line(std::string& out, std::string_view method, std::string_view target) {
  append_clean(out, method);
  out += ' ';
  append_clean(out, target);
  out += " HTTP/1.1\r\n";
}

void append_status_line(std::string& out, int status, std::string_view reason) {
  IM_ASSERT(status >= 100 && status <= 599);
  out += "HTTP/1.1 ";
  append_number(out, static_cast<std::uint64_t>(status), 10);
  out += ' ';
  append_clean(out, reason.empty() ? reason_phrase(status) : reason);
  out += "\r\n";
}

void append_header(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  append_clean(out, value);
  out += "\r\n";
}

void append_content_length(std::string& out, std::uint64_t length) {
  out += "content-length: ";
  append_number(out, length, 10);
  out += "\r\n";
}

void append_chunked(std::string& out) {
  out += "transfer-encoding: chunked\r\n";
}

void append_head_end(std::string& out) {
  out += "\r\n";
}

void append_chunk_head(std::string& out, std::uint64_t size) {
  IM_ASSERT(size > 0);
  append_number(out, size, 16);
  out += "\r\n";
}

void append_last_chunk(std::string& out) {
  out += kLastChunk;
}

}  // namespace infermesh::http
