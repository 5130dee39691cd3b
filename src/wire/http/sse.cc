#include "wire/http/sse.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace infermesh::http {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr auto kNowhere = std::string_view::npos;

struct Line {
  std::string_view text;   // without its end
  std::string_view whole;  // with it
};

// The lines of a whole event, in which every line has its end.
class Lines {
 public:
  explicit Lines(std::string_view raw) : rest_(raw), has_cr_(raw.find('\r') != kNowhere) {}

  bool empty() const { return rest_.empty(); }
  Line take() {
    const auto found = has_cr_ ? rest_.find_first_of("\r\n") : rest_.find('\n');
    const auto end = std::min(found, rest_.size());
    const bool two = rest_.substr(end).starts_with("\r\n");
    const auto after = std::min(end + (two ? 2 : 1), rest_.size());
    const Line line{rest_.substr(0, end), rest_.substr(0, after)};
    rest_.remove_prefix(after);
    return line;
  }

 private:
  std::string_view rest_;
  bool has_cr_;
};

void release(std::string& text) {
  std::string().swap(text);
}

std::size_t heap_bytes(const std::string& text) {
  return text.capacity() > std::string().capacity() ? text.capacity() : 0;
}

struct Field {
  std::string_view name, value;
};

Field split_field(std::string_view line) {
  const auto colon = line.find(':');
  if (colon == kNowhere) return {line, {}};
  auto value = line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  return {line.substr(0, colon), value};
}

bool is_id_or_retry(std::string_view name) {
  return name == "id" || name == "retry";
}

SseEvent read_event(std::string_view raw, std::string& joined) {
  SseEvent event;
  event.raw = raw;
  event.is_comment_only = true;
  bool is_joined = false;
  for (Lines lines(raw); !lines.empty();) {
    const auto line = lines.take().text;
    if (line.empty() || line.front() == ':') continue;
    event.is_comment_only = false;
    const Field field = split_field(line);
    if (field.name == "event") event.event = field.value;
    if (is_id_or_retry(field.name)) event.has_id_or_retry = true;
    if (field.name != "data") continue;
    if (!event.has_data) {
      event.data = field.value;
      event.has_data = true;
      continue;
    }
    if (!is_joined) joined.assign(event.data);
    is_joined = true;
    joined += '\n';
    joined += field.value;
  }
  if (is_joined) event.data = joined;
  return event;
}

}  // namespace

void SseSplitter::push(std::string_view bytes) {
  if (carry_.empty() && text_.empty()) {
    text_ = bytes;
  } else {
    if (carry_.empty()) keep_rest();
    carry_ += bytes;
    text_ = carry_;
  }
  next_cr_.reset();
}

Result<std::optional<SseEvent>> SseSplitter::next() {
  while (true) {
    const auto end = find_event_end();
    if (end.value_or(text_.size()) - begin_ > event_bytes_max_) {
      return fail(ErrorCode::kUpstreamBadResponse,
                  fmt::format("An event of the stream is over the limit of {}.",
                              format_size(event_bytes_max_)));
    }
    if (!end) {
      keep_rest();
      return std::nullopt;
    }
    auto raw = text_.substr(begin_, *end - begin_);
    begin_ = line_ = scan_ = *end;
    last_end_ = LineEnd::kNone;
    if (at_stream_start_ && raw.starts_with(kByteOrderMark)) {
      raw.remove_prefix(kByteOrderMark.size());
      raw.remove_prefix(std::min(raw.find_first_not_of("\r\n"), raw.size()));
    }
    at_stream_start_ = false;
    if (!raw.empty()) return read_event(raw, joined_);
  }
}

void SseSplitter::skip_blank_lines() {
  const auto content = std::min(text_.find_first_not_of("\r\n", begin_), text_.size());
  if (content > begin_) at_stream_start_ = false;
  begin_ = content;
  line_ = scan_ = begin_;
}

// A blank line ends the event. When it ends with a CR at the end of the bytes, the LF of a CRLF may
// still come: it is waited for unless the line before ended with a CR alone, for then the stream
// does not use CRLF. An LF that follows all the same is a blank line before the next event. So the
// cuts never change what the events are.
std::optional<std::size_t> SseSplitter::find_event_end() {
  if (scan_ == begin_) skip_blank_lines();
  while (true) {
    if (!next_cr_ || *next_cr_ < scan_) next_cr_ = std::min(text_.find('\r', scan_), text_.size());
    const auto at = std::min(text_.substr(0, *next_cr_).find('\n', scan_), *next_cr_);
    scan_ = at;
    if (at == text_.size()) return std::nullopt;
    const bool is_blank = at == line_;
    LineEnd kind = LineEnd::kLf;
    if (text_[at] == '\r') {
      if (is_blank && last_end_ == LineEnd::kCr) return at + 1;
      if (at + 1 == text_.size()) return std::nullopt;
      kind = text_[at + 1] == '\n' ? LineEnd::kCrLf : LineEnd::kCr;
    }
    const auto after = at + (kind == LineEnd::kCrLf ? 2 : 1);
    if (is_blank) return after;
    last_end_ = kind;
    line_ = scan_ = after;
  }
}

void SseSplitter::keep_rest() {
  const auto rest = text_.substr(begin_);
  if (rest.empty()) {
    release(carry_);
  } else if (begin_ > 0 || carry_.empty()) {
    std::string(rest).swap(carry_);
  }
  release(joined_);
  line_ -= begin_;
  scan_ -= begin_;
  begin_ = 0;
  next_cr_.reset();
  text_ = carry_;
}

std::size_t SseSplitter::held_bytes() const {
  return heap_bytes(carry_) + heap_bytes(joined_);
}

void append_without_id_and_retry(std::string& out, std::string_view raw) {
  const auto before = out.size();
  bool has_line = false;
  for (Lines lines(raw); !lines.empty();) {
    const Line line = lines.take();
    if (is_id_or_retry(split_field(line.text).name)) continue;
    has_line |= !line.text.empty();
    out += line.whole;
  }
  if (!has_line) out.resize(before);
}

}  // namespace infermesh::http
