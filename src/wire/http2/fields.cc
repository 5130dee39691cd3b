#include "wire/http2/fields.h"

#include <algorithm>

namespace infermesh::http2 {
namespace {

constexpr std::size_t kUsualBytes = 512;  // on the heap, so that a move leaves the views alone

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

}  // namespace

void FieldBlock::add(std::string_view name, std::string_view value) {
  if (text_.capacity() < kUsualBytes) text_.reserve(kUsualBytes);
  text_.append(name);
  const std::size_t begin = text_.size();
  text_.append(value);
  std::replace_if(text_.begin() + static_cast<std::ptrdiff_t>(begin), text_.end(), is_control, ' ');
  sizes_.push_back(
      {static_cast<std::uint32_t>(name.size()), static_cast<std::uint32_t>(value.size())});
}

http::Headers FieldBlock::views() const {
  http::Headers all;
  all.reserve(sizes_.size());
  std::string_view rest = text_;
  for (const Size size : sizes_) {
    all.emplace_back(rest.substr(0, size.name), rest.substr(size.name, size.value));
    rest.remove_prefix(size.name + size.value);
  }
  return all;
}

std::optional<std::string_view> FieldBlock::find(std::string_view name) const {
  std::string_view rest = text_;
  for (const Size size : sizes_) {
    if (rest.substr(0, size.name) == name) return rest.substr(size.name, size.value);
    rest.remove_prefix(size.name + size.value);
  }
  return std::nullopt;
}

void FieldBlock::join_cookies() {
  const http::Headers all = views();
  const auto is_cookie = [](const http::Header& header) { return header.name == "cookie"; };
  if (std::ranges::count_if(all, is_cookie) < 2) return;
  FieldBlock joined;
  std::string cookies;
  for (const http::Header& header : all) {
    if (!is_cookie(header)) {
      joined.add(header.name, header.value);
    } else {
      cookies.append(cookies.empty() ? "" : "; ").append(header.value);
    }
  }
  joined.add("cookie", cookies);
  *this = std::move(joined);
}

}  // namespace infermesh::http2
