#include "data/stream/watched_stream.h"

namespace infermesh::data {

using port::IoResult;
using port::IoStatus;

void WatchedStream::expect_read() {
  if (!may_read_) return;  // armed already
  may_read_ = false;
  stream_->when_readable([this](IoStatus) {
    may_read_ = true;
    if (wake_ != nullptr) return wake_->set();
    if (disturbed_) std::exchange(disturbed_, nullptr)();  // may destroy this
  });
}

void WatchedStream::expect_write() {
  may_write_ = false;
  stream_->when_writable([this](IoStatus) {
    may_write_ = true;
    if (wake_ != nullptr) wake_->set();
  });
}

IoResult WatchedStream::read(std::span<char> into) {
  const IoResult result = stream_->try_read(into);
  const bool drained = result.status == IoStatus::kOk && result.bytes < into.size();
  if (result.status == IoStatus::kWouldBlock || drained) expect_read();
  return result;
}

IoResult WatchedStream::write(std::span<const std::string_view> pieces) {
  const IoResult result = stream_->try_write(pieces);
  if (result.status == IoStatus::kWouldBlock && may_write_) expect_write();
  return result;
}

}  // namespace infermesh::data
