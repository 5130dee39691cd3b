// JSON spelled by hand: strings and numbers appended to a text. For writers that need a line or two
// and no document.
#pragma once

#include <string>
#include <string_view>

namespace infermesh {

// "text" with quotes; control characters, quotes and backslashes escaped. Bytes that are not UTF-8
// become U+FFFD, so the result is always valid.
void append_json_string(std::string& out, std::string_view text);
// Length of the well-formed UTF-8 sequence that `text` (not empty) begins with, 0 when there is
// none (RFC 3629, section 4).
std::size_t utf8_length(std::string_view text);
// The shortest decimal that reads back; null when it is not finite.
void append_json_number(std::string& out, double value);

}  // namespace infermesh
