#include "data/stream/reply.h"

#include <array>

#include "base/assert.h"
#include "base/free_text.h"
#include "wire/http/write.h"

namespace infermesh::data {
namespace {

constexpr int kSwitching = 101;
constexpr std::size_t kPiecesMax = 12;  // in one write, besides the head and the chunk's framing

}  // namespace

void Reply::begin(int status, std::optional<std::uint64_t> length) {
  IM_ASSERT(!head_sent_);
  status_ = status;
  if (to_.frames != nullptr) return to_.frames->begin(status, length);
  head_.clear();
  http::append_status_line(head_, status);
  chunked_ = !length && to_.version_minor >= 1;
  if (length) {
    http::append_content_length(head_, *length);
  } else if (chunked_) {
    http::append_chunked(head_);
  } else {
    to_.keep_alive = false;  // HTTP/1.0: the end of the connection is the end of the body
  }
}

void Reply::switch_protocols(std::string_view protocol) {
  IM_ASSERT(!head_sent_);
  status_ = kSwitching;
  head_.clear();
  http::append_status_line(head_, kSwitching);
  http::append_header(head_, "connection", "Upgrade");
  http::append_header(head_, "upgrade", protocol);
  chunked_ = false;
  to_.keep_alive = false;
}

void Reply::header(std::string_view name, std::string_view value) {
  if (to_.frames != nullptr) return to_.frames->header(name, value);
  http::append_header(head_, name, value);
}

void Reply::send_continue() {
  if (to_.frames != nullptr) return to_.frames->send_interim(100);
  client_.out.write(http::kContinue);
}

void Reply::write(std::span<const std::string_view> pieces, std::string_view tail) {
  if (to_.payload == Payload::kLeftOut) {
    if (head_sent_) return;
    pieces = {};
    tail = {};
  }
  std::array<std::string_view, kPiecesMax + 4> all;
  std::size_t count = 0;
  if (!head_sent_ && to_.frames != nullptr) {
    to_.frames->send_head();
    head_sent_ = true;
  } else if (!head_sent_) {
    if (status_ == kSwitching) {
      // Its head has said what becomes of the connection.
    } else if (!to_.keep_alive) {
      http::append_header(head_, "connection", "close");
    } else if (to_.version_minor == 0) {
      http::append_header(head_, "connection", "keep-alive");
    }
    http::append_head_end(head_);
    all[count++] = head_;
    head_sent_ = true;
  }
  std::size_t size = 0;
  for (const std::string_view piece : pieces) size += piece.size();
  body_bytes_ += size;
  std::string chunk_head;
  if (chunked_ && size > 0) {
    http::append_chunk_head(chunk_head, size);
    all[count++] = chunk_head;
  }
  IM_ASSERT(pieces.size() + count + 2 <= all.size());
  for (const std::string_view piece : pieces) all[count++] = piece;
  if (chunked_ && size > 0) all[count++] = http::kChunkEnd;
  if (!tail.empty()) all[count++] = tail;
  client_.out.write(std::span(all.data(), count));
  free_text(head_);  // sent; a silent stream holds nothing of it
}

void Reply::send_head() {
  write({}, {});
}

void Reply::body(std::span<const std::string_view> pieces) {
  for (; pieces.size() > kPiecesMax; pieces = pieces.subspan(kPiecesMax)) {
    write(pieces.first(kPiecesMax), {});
  }
  write(pieces, {});
}

void Reply::finish() {
  finish({});
}

void Reply::finish(std::string_view last) {
  IM_ASSERT(begun() && !ended_);
  ended_ = true;
  write(std::span(&last, last.empty() ? 0 : 1), chunked_ ? http::kLastChunk : std::string_view{});
}

void Reply::abort() {
  ended_ = true;
  aborted_ = true;
}

}  // namespace infermesh::data
