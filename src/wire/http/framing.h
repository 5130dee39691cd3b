// Framing: how long a message's body is, collected header by header during the scan. RFC 9112 6.3
// without its lenient branches: any doubt is an error. Internal to this folder.
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

}  // namespace infermesh::http
