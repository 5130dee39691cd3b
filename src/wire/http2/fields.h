// FieldBlock: the fields of one header block or trailer, in wire order, with the memory that they
// lie in. Views stay good while the block lives, also when it is moved. The reader bounds its size
// by bytes().
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire/http/head.h"

namespace infermesh::http2 {

class FieldBlock {
 public:
  FieldBlock() = default;
  FieldBlock(FieldBlock&&) = default;
  FieldBlock& operator=(FieldBlock&&) = default;
  FieldBlock(const FieldBlock&) = delete;
  FieldBlock& operator=(const FieldBlock&) = delete;

  // Control characters of a value are written as blanks.
  void add(std::string_view name, std::string_view value);
  bool empty() const { return sizes_.empty(); }
  // As SETTINGS_MAX_HEADER_LIST_SIZE counts: 32 more for each field (RFC 9113 6.5.2).
  std::size_t bytes() const { return text_.size() + 32 * sizes_.size(); }
  std::optional<std::string_view> find(std::string_view name) const;
  http::Headers views() const;
  // Several cookie fields become one, as HTTP/1 wants it (RFC 9113 8.2.3).
  void join_cookies();

 private:
  struct Size {
    std::uint32_t name, value;
  };
  std::string text_;
  std::vector<Size> sizes_;
};

}  // namespace infermesh::http2
