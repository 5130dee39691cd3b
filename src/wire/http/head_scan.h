// HeadScan: the strict line-by-line scan under the head parsers. It finds the end of the head,
// remembers how far it has looked, and refuses a malformed line as soon as that line is complete,
// so the verdict does not depend on how the bytes were cut. Keeps offsets only, never views: the
// buffer may move between calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "wire/http/framing.h"

namespace infermesh::http {

class HeadScan {
 public:
  HeadScan(MessageKind kind, std::size_t bytes_max) : kind_(kind), bytes_max_(bytes_max) {}

  // The offset after the blank line that ends the head; nullopt: need more.
  Result<std::optional<std::size_t>> advance(std::string_view buffer);
  std::size_t begin() const {
    return begin_;
  }  // where the start line begins, after tolerated empty lines
  const Framing& framing() const { return framing_; }  // complete at the end of the head
  void restart(std::size_t at);                        // a new head begins at this offset

 private:
  Result<bool> take_line(std::string_view buffer,
                         std::size_t end);  // true: the head ends with this line
  std::optional<Error> check_line(std::string_view line);
  std::optional<Error> check_first_byte(std::string_view buffer) const;

  MessageKind kind_;
  std::size_t bytes_max_;
  std::size_t begin_ = 0;
  std::size_t line_ = 0;     // offset of the current line
  std::size_t scanned_ = 0;  // searched for LF up to here
  std::size_t lines_ = 0;    // complete lines of this head, start line included
  int empty_lines_ = 0;
  Framing framing_;
};

bool is_token(std::string_view text);          // RFC 9110 5.6.2, not empty
bool is_field_content(std::string_view text);  // no controls but HTAB; bytes above 0x7f are allowed

}  // namespace infermesh::http
