// What tests say in HTTP/2: frames and header blocks as bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace infermesh::data {

enum Http2Type : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kReset = 3,
  kSettings = 4,
  kPush = 5,
  kPing = 6,
  kGoaway = 7,
  kWindow = 8,
  kContinuation = 9
};
constexpr std::uint8_t kEndStream = 1, kAck = 1, kEndHeaders = 4, kPadded = 8;

struct Http2Frame {
  std::uint8_t type = 0, flags = 0;
  std::uint32_t stream = 0;
  std::string payload;
};

inline std::string big_endian(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i));
  return text;
}
inline std::uint32_t number_at(std::string_view text, std::size_t at, int bytes = 4) {
  std::uint32_t value = 0;
  for (int i = 0; i < bytes; ++i)
    value = value << 8 | static_cast<unsigned char>(text.at(at + static_cast<std::size_t>(i)));
  return value;
}
inline std::string frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream,
                         std::string_view payload = {}) {
  return big_endian(payload.size(), 3) + big_endian(type, 1) + big_endian(flags, 1) +
         big_endian(stream, 4) + std::string(payload);
}
inline std::string window(std::uint32_t stream, std::uint32_t more) {
  return frame(kWindow, 0, stream, big_endian(more, 4));
}
inline std::string reset(std::uint32_t stream, std::uint32_t code = 8) {
  return frame(kReset, 0, stream, big_endian(code, 4));
}

// HPACK: a literal that is not indexed, name and value as they are (RFC 7541 6.2.2).
inline std::string field(std::string_view name, std::string_view value) {
  const auto text = [](std::string_view plain) {
    std::string out;
    if (plain.size() < 127) {
      out += static_cast<char>(plain.size());
    } else {
      std::size_t rest = plain.size() - 127;
      out += '\x7f';
      for (; rest >= 128; rest >>= 7) out += static_cast<char>(rest | 128);
      out += static_cast<char>(rest);
    }
    return out + std::string(plain);
  };
  return std::string(1, '\0') + text(name) + text(value);
}
inline std::string head_of(std::string_view method, std::string_view path,
                           std::string_view more = {}) {
  return field(":method", method) + field(":scheme", "http") + field(":path", path) +
         field(":authority", "x") + std::string(more);
}
inline std::string chat_head(std::string_view more = {}) {
  return head_of("POST", "/v1/chat/completions", more);
}

}  // namespace infermesh::data
