#include "wire/http/json_lines.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace infermesh::http {

void LineSplitter::push(std::string_view bytes) {
  if (carry_.empty()) {
    text_ = bytes;
    begin_ = scanned_ = 0;
  } else {
    carry_ += bytes;
    text_ = carry_;
  }
}

void LineSplitter::keep_rest() {
  const bool kept = begin_ == 0 && !carry_.empty();  // and is searched on from its end
  if (!kept) {
    std::string tail(text_.substr(begin_));
    carry_.swap(tail);
    begin_ = 0;
  }
  text_ = carry_;
  scanned_ = carry_.size();
}

Result<std::optional<JsonLine>> LineSplitter::next() {
  while (true) {
    const auto end = std::min(text_.find('\n', scanned_), text_.size());
    if (end - begin_ > line_bytes_max_) {
      return fail(ErrorCode::kUpstreamBadResponse,
                  fmt::format("A line of the stream is over the limit of {}.",
                              format_size(line_bytes_max_)));
    }
    if (end == text_.size()) {
      keep_rest();
      return std::nullopt;
    }
    JsonLine line{text_.substr(begin_, end + 1 - begin_), text_.substr(begin_, end - begin_)};
    begin_ = scanned_ = end + 1;
    if (line.text.ends_with('\r')) line.text.remove_suffix(1);
    if (!trim(line.text).empty()) return line;
  }
}

}  // namespace infermesh::http
