#include "wire/http/write.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/assert.h"
#include "wire/http/find_control.h"

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

// Writes the parts behind each other with one look at the room.
template <typename... Parts>
void append_parts(std::string& out, const Parts&... parts) {
  const std::size_t before = out.size();
  const std::size_t size = (before + ... + std::string_view(parts).size());
  out.resize_and_overwrite(size, [&](char* data, std::size_t) {
    char* at = data + before;
    const auto put = [&at](std::string_view part) { at = std::copy(part.begin(), part.end(), at); };
    (put(std::string_view(parts)), ...);
    return size;
  });
}

// The last `size` bytes of `out` come from outside.
void clean_last(std::string& out, std::size_t size) {
  const char* const end = out.data() + out.size();
  if (find_control(end - size, end) == end) return;
  std::replace_if(out.end() - static_cast<std::ptrdiff_t>(size), out.end(), is_control, ' ');
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

void append_request_line(std::string& out, std::string_view method, std::string_view path,
                         std::string_view query) {
  const std::size_t before = out.size();
  append_parts(out, method, " ", path, query.empty() ? "" : "?", query);
  clean_last(out, out.size() - before);
  out += " HTTP/1.1\r\n";
}

void append_status_line(std::string& out, int status, std::string_view reason) {
  IM_ASSERT(status >= 100 && status <= 599);
  if (reason.empty()) reason = reason_phrase(status);
  const std::array digits{static_cast<char>('0' + status / 100),
                          static_cast<char>('0' + status / 10 % 10),
                          static_cast<char>('0' + status % 10)};
  append_parts(out, "HTTP/1.1 ", std::string_view(digits.data(), digits.size()), " ", reason);
  clean_last(out, reason.size());
  out += "\r\n";
}

void append_header(std::string& out, std::string_view name, std::string_view value) {
  append_parts(out, name, ": ", value);
  clean_last(out, value.size());
  out += "\r\n";
}

void append_value(std::string& out, std::string_view value) {
  out += value;
  clean_last(out, value.size());
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
