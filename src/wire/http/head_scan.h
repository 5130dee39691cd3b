// HeadScan: reads a head in one pass, line by line as it arrives: finds each line's end, refuses
// what two readers could take differently as soon as the byte that decides is there, and splits the
// line into what it says. So the verdict does not depend on how the bytes were cut. Between calls
// the buffer may move: the views in `headers` are moved along, all else is kept as offsets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/rare.h"
#include "base/result.h"
#include "wire/http/framing.h"
#include "wire/http/header_name.h"

namespace infermesh::http {

struct Header {
  Header(std::string_view field, std::string_view content)
      : name(field), value(content), id(header_name(field)) {}

  std::string_view name, value;  // value without surrounding blanks
  HeaderName id;
};
using Headers = std::vector<Header>;  // in wire order

constexpr std::size_t kHeadersMax = 200;

class HeadScan {
 public:
  HeadScan(MessageKind kind, std::size_t bytes_max) : kind_(kind), bytes_max_(bytes_max) {}

  enum class Step : std::uint8_t { kMore, kDone, kRefused };
  // `buffer` begins with the message's first byte and only grows.
  Step advance(std::string_view buffer, Headers& headers);

  // When kDone:
  std::size_t begin() const { return begin_; }  // of the start line, after tolerated empty lines
  std::size_t end() const { return line_; }     // after the blank line
  const StartLine& start_line() const { return start_line_; }
  const Framing& framing() const { return framing_; }
  // When kRefused:
  const Error& error() const { return *error_; }

  void restart(std::size_t at);  // a new head begins at this offset

 private:
  bool take_line(std::string_view line, Headers& headers);  // false: refused
  bool take_header(std::string_view line, Headers& headers);
  bool take_empty_line();  // true: the head ends here
  std::optional<Error> check_first_byte(char first) const;
  Step refuse(std::string detail);
  Step refuse_header(std::string_view line);
  Step refuse_control(std::string_view rest);
  Step refuse_size();

  MessageKind kind_;
  std::size_t bytes_max_;
  std::uintptr_t base_ = 0;  // where the buffer was at the last call
  std::size_t begin_ = 0;
  std::size_t line_ = 0;     // offset of the current line
  std::size_t scanned_ = 0;  // searched for the line's end up to here
  std::size_t lines_ = 0;    // complete lines of this head, start line included
  int empty_lines_ = 0;
  StartLine start_line_;
  Framing framing_;
  Rare<Error> error_;
};

bool is_token(std::string_view text);          // RFC 9110 5.6.2, not empty
bool is_field_content(std::string_view text);  // no controls but HTAB; bytes above 0x7f are allowed

}  // namespace infermesh::http
