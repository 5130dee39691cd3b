// Just enough HTTP/1.1 to be the two ends of a benchmark: heads that well-behaved programs on this
// machine write, and bodies with a length or in chunks. Not a parser for strangers: src/wire/http
// is. One message at a time, no pipelining. Shared by mock_engine and load_gen.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace infermesh::bench {

inline std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

struct Head {
  std::string_view first_line;
  std::size_t size = 0;    // of the head itself, with its empty line
  std::size_t length = 0;  // of the body, where it is not chunked
  bool chunked = false;
  bool close = false;  // the connection ends with this message
};

// The head at the start of `bytes`; none while it is not whole.
std::optional<Head> read_head(std::string_view bytes);

// Follows a body to its end.
class Body {
 public:
  void start(const Head& head);
  bool ended() const { return state_ == State::kEnded; }
  // Bytes that are surely still to come, so that they may be dropped unseen.
  std::size_t plain_left() const { return state_ == State::kPlain ? left_ : 0; }
  void skip(std::size_t count);
  // Takes what belongs to the body off the front of `bytes`; `on_data` sees it without framing.
  template <typename OnData>
  bool take(std::string_view& bytes, OnData on_data);

 private:
  enum class State : std::uint8_t { kEnded, kPlain, kSize, kData, kDataEnd, kTrailer, kBroken };
  bool frame(std::string_view& bytes);  // one line of framing; false when more bytes are needed

  State state_ = State::kEnded;
  std::size_t left_ = 0;
  std::string line_;  // a line of framing that came in pieces
};

template <typename OnData>
bool Body::take(std::string_view& bytes, OnData on_data) {
  while (!bytes.empty() && state_ != State::kEnded && state_ != State::kBroken) {
    if (state_ != State::kPlain && state_ != State::kData) {
      if (!frame(bytes)) break;
      continue;
    }
    const std::string_view data = bytes.substr(0, left_);
    on_data(data);
    bytes.remove_prefix(data.size());
    skip(data.size());
  }
  return state_ != State::kBroken;
}

// Sends from the front of `bytes` what the socket takes now; false when the connection is gone.
bool send_some(int fd, std::string_view& bytes);

}  // namespace infermesh::bench
