// Writing small JSON by appending to a string. No tree, no state: the caller writes brackets and
// commas.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace infermesh::json {

// The string in quotes, escaped. Bytes that are not UTF-8 become U+FFFD, so the result is always
// valid JSON text.
void append_string(std::string& out, std::string_view text);
// null when the text is empty.
void append_string_or_null(std::string& out, std::string_view text);
// "name": with a comma before it unless an object or array was just opened.
void append_key(std::string& out, std::string_view name);
void append_number(std::string& out, std::int64_t number);
std::string quoted(std::string_view text);

// Text with every byte sequence that is not UTF-8 (RFC 3629) replaced by U+FFFD.
std::string valid_utf8(std::string_view text);

}  // namespace infermesh::json
