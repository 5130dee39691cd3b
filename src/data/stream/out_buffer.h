// OutBuffer: what is to be written to one stream. Writes at once what the socket takes; only the
// rest is copied and kept, so a reader that keeps up costs no buffer. The caller stops producing
// while blocked(): that is the back-pressure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "data/stream/watched_stream.h"

namespace infermesh::data {

class OutBuffer {
 public:
  explicit OutBuffer(WatchedStream& stream) : stream_(&stream) {}

  // Writes or keeps all pieces, in order. After a failure everything is dropped silently; see
  // failed().
  void write(std::span<const std::string_view> pieces);
  void write(std::string_view piece) { write(std::span(&piece, 1)); }
  void flush();  // tries to write what is kept

  bool blocked() const { return kept_.size() > sent_; }
  bool failed() const { return failed_; }
  std::size_t kept_bytes() const { return kept_.size() - sent_; }
  std::uint64_t bytes_written() const { return written_; }

 private:
  void keep(std::span<const std::string_view> pieces, std::size_t skip);

  WatchedStream* stream_;
  std::string kept_;
  std::size_t sent_ = 0;  // of kept_
  std::uint64_t written_ = 0;
  bool failed_ = false;
};

}  // namespace infermesh::data
