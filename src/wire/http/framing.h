// What HeadScan judges lines by: the start line (RFC 9112 3 and 4), and Framing, how long the
// message's body is, collected header by header (RFC 9112 6.3 without its lenient branches: any
// doubt is an error). Internal to this folder.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "wire/http/header_name.h"

namespace infermesh::http {

enum class MessageKind : std::uint8_t { kRequest, kResponse };

// The code under which a malformed message of this kind is refused.
ErrorCode malformed(MessageKind kind);

std::string_view trim_blanks(std::string_view text);  // spaces and tabs at both ends

struct Framing {
  int version_minor = 1;
  std::optional<std::uint64_t> content_length;
  bool chunked = false;

  // Takes one header's value without surrounding blanks; `name` is Content-Length or
  // Transfer-Encoding. nullopt: nothing wrong.
  std::optional<Error> take(MessageKind kind, HeaderName name, std::string_view value);

 private:
  std::optional<Error> take_length(MessageKind kind, std::string_view value);
  std::optional<Error> take_encoding(MessageKind kind, std::string_view value);
};

// What a start line says. Offsets are from the line's beginning, so the buffer may move.
struct StartLine {
  std::uint32_t method_size = 0;   // requests: from 0
  std::uint32_t target_begin = 0;  // requests
  std::uint32_t target_size = 0;
  std::uint32_t reason_begin = 0;  // responses
  std::uint32_t reason_size = 0;
  int status = 0;
  int version_minor = 1;
};

// `line` holds no control characters but HTAB. nullopt: nothing wrong.
std::optional<Error> read_start_line(MessageKind kind, std::string_view line, StartLine& start);

// A host name or address with an optional port, or nothing: of Host and of an absolute target.
// Anything else is a second reading for somebody.
bool is_host(std::string_view text);

}  // namespace infermesh::http
