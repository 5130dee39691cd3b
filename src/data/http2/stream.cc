#include "data/http2/stream.h"

#include "base/free_text.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "data/http2/link.h"

namespace infermesh::data {

using http2::Code;
using port::IoResult;
using port::IoStatus;

IoResult Http2Stream::read(std::span<char> into) {
  if (broken_) return {IoStatus::kError, 0};
  if (unread()) {
    const std::size_t count = std::min(into.size(), unread_.size() - read_);
    std::memcpy(into.data(), unread_.data() + read_, count);
    read_ += count;
    if (!unread()) {
      free_text(unread_);
      read_ = 0;
    }
    if (link() != nullptr) link()->note_read(*this, count);
    return {IoStatus::kOk, count};
  }
  if (ended_in_ && !std::exchange(end_told_, true)) return {IoStatus::kEnd, 0};
  return {IoStatus::kWouldBlock, 0};
}

IoResult Http2Stream::write(std::span<const std::string_view> pieces) {
  if (broken_ || closed_ || ending_ || aborted_) return {IoStatus::kError, 0};
  std::size_t taken = 0;
  const std::size_t room = kPendingMax - std::min(kPendingMax, pending());
  std::size_t offered = 0;
  for (const std::string_view piece : pieces) {
    const std::string_view part = piece.substr(0, room - taken);
    pending_.append(part);
    taken += part.size();
    offered += piece.size();
  }
  if (taken == 0) return {offered == 0 ? IoStatus::kOk : IoStatus::kWouldBlock, 0};
  link()->wants_to_send(*this);
  return {IoStatus::kOk, taken};
}

// Nothing is called back from within.
void Http2Stream::when_readable(std::function<void(IoStatus)> callback) {
  reader_ = std::move(callback);
  if (readable() && link() != nullptr) link()->call_soon(*this);
}

void Http2Stream::when_writable(std::function<void(IoStatus)> callback) {
  writer_ = std::move(callback);
  if (writable() && link() != nullptr) link()->call_soon(*this);
}

void Http2Stream::tell_ready() {
  if (readable()) tell_reader(IoStatus::kOk);
  if (writable()) tell_writer(IoStatus::kOk);
}

void Http2Stream::cancel() {
  tell_reader(IoStatus::kCancelled);
  tell_writer(IoStatus::kCancelled);
}

void Http2Stream::respond(const http2::FieldBlock& head, http2::Body body) {
  if (link() == nullptr || closed_) return;
  if (body == http2::Body::kNone) ending_ = ended_out_ = true;
  link()->session().respond(id_, head.views(), body);
  link()->wants_to_send(*this);
}

void Http2Stream::end(http2::FieldBlock block) {
  if (ending_ || aborted_) return;
  ending_ = true;
  end_block_ = std::move(block);
  end_fields_ = end_block_.views();
  if (link() != nullptr) link()->wants_to_send(*this);
}

void Http2Stream::abort() {
  aborted_ = true;
  if (link() != nullptr) link()->wants_to_send(*this);
}

void Http2Stream::reset(Code code) {
  aborted_ = true;
  free_text(pending_);
  sent_ = 0;
  if (link() != nullptr && !closed_) link()->reset(*this, code);
}

void Http2Stream::leave() {
  left_ = true;
  reader_ = writer_ = nullptr;
  wake_ = nullptr;
  drop_unread();
  if (closed_ || link() == nullptr) return;
  if (asked_ || (!ending_ && !aborted_)) return reset(Code::kCancel);
  // The answer was whole before the request was (RFC 9113 8.1).
  if (ended_out_ && !ended_in_) link()->reset_after_send(*this);
}

void Http2Stream::drop_unread() {
  const std::size_t count = unread_.size() - read_;
  free_text(unread_);
  read_ = 0;
  if (count > 0 && link() != nullptr) link()->note_read(*this, count);
}

void Http2Stream::on_response(http2::FieldBlock block, http2::Body body) {
  response = std::move(block);
  response_body = body;
  tell_reader(IoStatus::kOk);
  tell_change();
}

void Http2Stream::on_body(std::string_view bytes) {
  link()->note_arrived(bytes.size());
  if (left_ || aborted_) return link()->note_read(*this, bytes.size());
  unread_.append(bytes);
  tell_reader(IoStatus::kOk);
}

void Http2Stream::on_end(http2::FieldBlock block) {
  ended_in_ = true;
  trailers = std::move(block);
  tell_reader(IoStatus::kOk);
  tell_change();
}

void Http2Stream::on_closed(Code code) {
  closed_ = true;
  code_ = code;
  broken_ = !ended_in_ || (!asked_ && !ended_out_);  // a server may answer before it has all
  if (broken_) drop_unread();
  free_text(pending_);
  sent_ = 0;
  tell_reader(IoStatus::kOk);
  tell_writer(IoStatus::kOk);
  tell_change();
  if (link() != nullptr) link()->stream_closed(id_);  // may destroy this
}

http2::Offer Http2Stream::offer(std::size_t most) {
  http2::Offer offered;
  offered.bytes = std::min(most, pending());
  if (offered.bytes < pending()) return offered;
  if (aborted_) {
    offered.then = http2::Offer::Then::kAbort;
  } else if (ending_) {
    offered.then = http2::Offer::Then::kEnd;
    if (!end_fields_.empty()) offered.trailers = &end_fields_;
    ended_out_ = true;
  }
  return offered;
}

void Http2Stream::take(std::size_t bytes, std::string& out) {
  out.append(pending_, sent_, bytes);
  sent_ += bytes;
  if (sent_ == pending_.size()) {
    free_text(pending_);
    sent_ = 0;
  }
  tell_change();
  if (writable()) tell_writer(IoStatus::kOk);
}

void Http2Stream::tell_reader(IoStatus status) {
  if (reader_) std::exchange(reader_, nullptr)(status);
}

void Http2Stream::tell_writer(IoStatus status) {
  if (writer_) std::exchange(writer_, nullptr)(status);
}

void Http2Stream::tell_change() {
  if (wake_ != nullptr) wake_->set();
}

}  // namespace infermesh::data
