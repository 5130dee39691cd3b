// SseSplitter: cuts a stream of server-sent events (WHATWG HTML 9.2) into whole events for a relay.
// Lines end with LF, CRLF or CR, and the bytes may be cut anywhere. One splitter for one stream, on
// its loop.
//
// Ownership: when a push holds whole events, they are views into the pushed bytes; only an
// incomplete tail is copied and carried over, and that memory is given back once the tail is
// complete. A silent stream between events holds none. Limit: one event, in bytes (32 MiB, what the
// common clients can take); a longer one is kUpstreamBadResponse, and the splitter is of no further
// use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace infermesh::http {

constexpr std::size_t kSseEventBytesMax = 32 * 1024 * 1024;

struct SseEvent {
  std::string_view raw;          // every byte, with the blank line that ends it
  std::string_view event;        // value of the last `event` field, "" without one
  std::string_view data;         // the `data` lines joined with LF
  bool has_data = false;         // there is at least one `data` line
  bool is_comment_only = false;  // comments (keep-alives) and nothing else
  bool has_id_or_retry = false;  // fields that a relay must not pass on
};

class SseSplitter {
 public:
  explicit SseSplitter(std::size_t event_bytes_max = kSseEventBytesMax)
      : event_bytes_max_(event_bytes_max) {}
  SseSplitter(const SseSplitter&) = delete;  // it views its own memory
  SseSplitter& operator=(const SseSplitter&) = delete;

  // `bytes` must stay valid until next() has answered nullopt; call next() until then before the
  // next push.
  void push(std::string_view bytes);
  // The next whole event; nullopt when there is none yet. Its views are valid until the next call
  // of either. Blank lines between events, and a leading byte order mark, belong to no event and
  // are dropped.
  Result<std::optional<SseEvent>> next();

  // Bytes of an event whose end has not come. At the end of the stream: it was cut. Ask after
  // next() said nullopt.
  bool has_partial() const { return !carry_.empty(); }
  std::size_t held_bytes() const;  // memory on the heap

 private:
  enum class LineEnd : std::uint8_t { kNone, kLf, kCr, kCrLf };
  std::optional<std::size_t> find_event_end();
  void skip_blank_lines();
  void keep_rest();

  std::size_t event_bytes_max_;
  std::string carry_;   // the incomplete tail, and what was pushed after it until that is used up
  std::string joined_;  // data of the last event, when it had several lines
  std::string_view text_;  // what is being cut: carry_ or the pushed bytes
  std::size_t begin_ = 0;  // of the current event in text_
  std::size_t line_ = 0;   // of the current line
  std::size_t scan_ = 0;   // searched for line ends up to here
  std::optional<std::size_t>
      next_cr_;                        // the first CR from where scan_ was; nullopt: not looked for
  LineEnd last_end_ = LineEnd::kNone;  // of the line before the current one
  bool at_stream_start_ = true;
};

// Appends the event's bytes without its `id` and `retry` lines. Appends nothing when no other line
// is left.
void append_without_id_and_retry(std::string& out, std::string_view raw);

}  // namespace infermesh::http
