// HpackReader: the header blocks of one connection, decoded for tests.
#pragma once

#include <nghttp2/nghttp2.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace infermesh::data {

class HpackReader {
 public:
  HpackReader() : inflater_(nullptr, nghttp2_hd_inflate_del) {
    nghttp2_hd_inflater* made = nullptr;
    nghttp2_hd_inflate_new(&made);
    inflater_.reset(made);
  }
  // What cannot be decoded is left out.
  void read(std::string_view block, std::map<std::string, std::string>& fields) {
    fields.clear();
    auto* data = reinterpret_cast<const std::uint8_t*>(block.data());
    std::size_t left = block.size();
    int flags = 0;
    while ((flags & NGHTTP2_HD_INFLATE_FINAL) == 0) {
      nghttp2_nv pair;
      const ssize_t used = nghttp2_hd_inflate_hd2(inflater_.get(), &pair, &flags, data, left, 1);
      if (used < 0) return;
      data += used;
      left -= static_cast<std::size_t>(used);
      if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0) continue;
      fields[text(pair.name, pair.namelen)] = text(pair.value, pair.valuelen);
    }
    nghttp2_hd_inflate_end_headers(inflater_.get());
  }

 private:
  static std::string text(const std::uint8_t* bytes, std::size_t size) {
    return {reinterpret_cast<const char*>(bytes), size};
  }
  std::unique_ptr<nghttp2_hd_inflater, void (*)(nghttp2_hd_inflater*)> inflater_;
};

}  // namespace infermesh::data
