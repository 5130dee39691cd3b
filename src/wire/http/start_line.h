// The first line of a head: request line (RFC 9112 3) or status line (4), judged strictly. Internal
// to this folder.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "wire/http/framing.h"

namespace infermesh::http {

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
