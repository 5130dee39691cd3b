// LineSplitter: cuts a stream of JSON lines (NDJSON, as Ollama streams) into whole lines for a
// relay. Lines end with LF, or CRLF; the bytes may be cut anywhere. One splitter for one stream, on
// its loop.
//
// Ownership: whole lines are views into the pushed bytes; only an incomplete tail is copied and
// carried over, and that memory is given back once the tail is complete. Limit: one line, in bytes;
// a longer one is kUpstreamBadResponse, and the splitter is of no further use.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace infermesh::http {

constexpr std::size_t kJsonLineBytesMax = 32 * 1024 * 1024;

struct JsonLine {
  std::string_view raw;   // with its end
  std::string_view text;  // without it
};

class LineSplitter {
 public:
  explicit LineSplitter(std::size_t line_bytes_max = kJsonLineBytesMax)
      : line_bytes_max_(line_bytes_max) {}
  LineSplitter(const LineSplitter&) = delete;  // it views its own memory
  LineSplitter& operator=(const LineSplitter&) = delete;

  // `bytes` must stay valid until next() has answered nullopt; call next() until then before the
  // next push.
  void push(std::string_view bytes);
  // The next whole line that is not blank; nullopt when there is none yet. Its views are valid
  // until the next call of either.
  Result<std::optional<JsonLine>> next();

  // Bytes of a line whose end has not come. Ask after next() said nullopt.
  bool has_partial() const { return !carry_.empty(); }

 private:
  void keep_rest();

  std::size_t line_bytes_max_;
  std::string carry_;  // the incomplete tail, and what was pushed after it until that is used up
  std::string_view text_;    // what is being cut: carry_ or the pushed bytes
  std::size_t begin_ = 0;    // of the current line in text_
  std::size_t scanned_ = 0;  // searched for its end up to here
};

}  // namespace infermesh::http
