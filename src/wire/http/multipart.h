// MultipartScanner: finds the parts of a multipart body (RFC 2046 5.1, RFC 7578) that arrives in
// pieces of any size, without copying the parts' data.
//
//   scanner.feed(bytes);
//   for (auto token = scanner.next(); token.kind != PartToken::kMore; token = scanner.next()) ...
//
// Keeps the boundary and the head of one part (at most kPartHeadMax). Fails by kError, again and
// again from then on; error_text() says why. What follows the last boundary is passed over. Owned
// by one exchange.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace infermesh::http {

constexpr std::size_t kPartHeadMax = 16 << 10;
constexpr std::size_t kBoundaryMax = 200;  // RFC 2046 has 70; some clients have more

// The value of `name` among the parameters of a header like Content-Type: ...; name="value".
std::optional<std::string> parameter_of(std::string_view header_value, std::string_view name);
// Of a Content-Type; nullopt when it is not multipart/form-data or has no boundary that can be
// used.
std::optional<std::string> form_boundary(std::string_view content_type);

enum class PartToken : std::uint8_t {
  kMore,   // all bytes fed are used up
  kError,  // not what was announced
  kPart,   // a part begins: `text` is its name, empty when it has none
  kData,   // bytes of the part
  kPartEnd,
  kEnd,  // the last boundary
};

class MultipartScanner {
 public:
  explicit MultipartScanner(std::string_view boundary);

  struct Token {
    PartToken kind = PartToken::kMore;
    std::string_view text = {};  // good until the next call
    std::uint64_t at = 0;        // absolute offset: where the data begins, or ends for kPartEnd
  };
  void feed(std::string_view bytes);  // must stay until next() has answered kMore
  Token next();

  bool ended() const { return state_ == State::kDone; }
  std::uint64_t offset() const { return base_ + at_; }
  std::string_view error_text() const { return error_; }  // one sentence without a full stop

 private:
  enum class State : std::uint8_t { kPreamble, kBoundaryLine, kHead, kData, kDone, kFailed };
  std::optional<Token> search();
  std::optional<Token> boundary_line();
  std::optional<Token> head();
  Token fail(std::string_view why);

  std::string delimiter_;  // CRLF -- boundary
  State state_ = State::kPreamble;
  std::size_t matched_;  // bytes of the delimiter seen
  std::string_view input_;
  std::size_t at_ = 0;      // in input_
  std::uint64_t base_ = 0;  // offset of input_
  std::string line_;        // what follows a boundary, or a part's head
  std::string name_;
  std::string_view error_;
};

}  // namespace infermesh::http
