// JSON strings by value: reading one (unescape) and writing one (append_string). For small texts:
// names, messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace infermesh::json {

// The text of a string as it stands between the quotes. Escapes of lone surrogates become U+FFFD.
// At most `bytes_max` bytes are kept, cut at a character's beginning. Expects what the Scanner has
// passed; a broken escape ends the text.
std::string unescape(std::string_view raw, std::size_t bytes_max = SIZE_MAX);

}  // namespace infermesh::json
