#include "wire/http/percent.h"

#include <algorithm>

#include "base/text.h"

namespace infermesh::http {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_unreserved(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

}  // namespace

std::string percent_decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
                        hex_digit(text[i + 2]) >= 0;
    out +=
        escape ? static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])) : text[i];
    if (escape) i += 2;
  }
  return out;
}

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_unreserved(c)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

std::optional<std::string_view> query_value(std::string_view query, std::string_view name) {
  for (const std::string_view member : split(query, '&')) {
    const auto equals = std::min(member.find('='), member.size());
    if (member.substr(0, equals) != name) continue;
    return member.substr(std::min(equals + 1, member.size()));
  }
  return std::nullopt;
}

std::string with_query_value(std::string_view query, std::string_view name,
                             std::string_view value) {
  std::string out;
  for (const std::string_view member : split(query, '&')) {
    if (!out.empty()) out += '&';
    if (member.substr(0, member.find('=')) == name) {
      out.append(name).append("=").append(percent_encoded(value));
    } else {
      out.append(member);
    }
  }
  return out;
}

}  // namespace infermesh::http
