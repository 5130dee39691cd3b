#include "wire/json/text.h"

#include <charconv>
#include <optional>

namespace infermesh::json {
namespace {

constexpr std::uint32_t kReplacement = 0xfffd;

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xc0 | (code >> 6));
  } else {
    if (code < 0x10000) {
      put(0xe0 | (code >> 12));
    } else {
      put(0xf0 | (code >> 18));
      put(0x80 | ((code >> 12) & 0x3f));
    }
    put(0x80 | ((code >> 6) & 0x3f));
  }
  put(0x80 | (code & 0x3f));
}

std::optional<std::uint32_t> hex4(std::string_view text) {
  if (text.size() < 4) return std::nullopt;
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + 4, value, 16);
  if (error != std::errc{} || end != text.data() + 4) return std::nullopt;
  return value;
}

char simple_escape(char c) {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return c;  // quote, backslash, slash
  }
}

// Reads the escape that begins after the backslash at raw[0]; returns its length, 0 when it is
// broken.
std::size_t append_escape(std::string& out, std::string_view raw) {
  if (raw.empty()) return 0;
  if (raw[0] != 'u') {
    out.push_back(simple_escape(raw[0]));
    return 1;
  }
  const auto code = hex4(raw.substr(1));
  if (!code) return 0;
  const bool high = *code >= 0xd800 && *code < 0xdc00;
  if (high && raw.substr(5).starts_with("\\u")) {
    const auto low = hex4(raw.substr(7));
    if (low && *low >= 0xdc00 && *low < 0xe000) {
      append_utf8(out, 0x10000 + ((*code - 0xd800) << 10) + (*low - 0xdc00));
      return 11;
    }
  }
  append_utf8(out, *code >= 0xd800 && *code < 0xe000 ? kReplacement : *code);
  return 5;
}

}  // namespace

std::string unescape(std::string_view raw, std::size_t bytes_max) {
  std::string out;
  while (!raw.empty() && out.size() <= bytes_max) {
    const std::size_t plain = std::min(raw.find('\\'), raw.size());
    out.append(raw.substr(0, plain));
    raw.remove_prefix(plain);
    if (raw.empty()) break;
    const std::size_t used = append_escape(out, raw.substr(1));
    if (used == 0) break;
    raw.remove_prefix(used + 1);
  }
  if (out.size() > bytes_max) {
    std::size_t cut = bytes_max;
    while (cut > 0 && (static_cast<unsigned char>(out[cut]) & 0xc0) == 0x80) --cut;
    out.resize(cut);
  }
  return out;
}

}  // namespace infermesh::json
