#include "data/http2/stream_end.h"

#include "data/http2/link.h"

namespace infermesh::data {

using http2::Code;
using port::IoStatus;

namespace {

using When = void (Http2Stream::*)(std::function<void(IoStatus)>);

port::Task<IoStatus> wait_for(std::shared_ptr<Http2Stream> stream, When when) {
  port::Wakeup wake;
  IoStatus told = IoStatus::kOk;
  std::function<void(IoStatus)> callback = [&wake, &told](IoStatus status) {
    told = status;
    wake.set();
  };
  (stream.get()->*when)(std::move(callback));
  co_await wake.wait();
  co_return told;
}

}  // namespace

port::Task<IoStatus> Http2StreamEnd::readable() {
  return wait_for(stream_, &Http2Stream::when_readable);
}

port::Task<IoStatus> Http2StreamEnd::writable() {
  return wait_for(stream_, &Http2Stream::when_writable);
}

void Http2StreamEnd::close(port::CloseMode mode) {
  if (mode == port::CloseMode::kSendOnly) return stream_->end();
  stream_->reset(mode == port::CloseMode::kReset ? Code::kInternal : Code::kCancel);
}

}  // namespace infermesh::data
