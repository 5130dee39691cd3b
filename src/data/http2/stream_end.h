// Http2StreamEnd: an Http2Stream as a port::Stream, for those who serve or use it. On its loop.
#pragma once

#include <memory>
#include <string>

#include "data/http2/stream.h"

namespace infermesh::data {

// A stream as a port::Stream. Destroying it leaves the stream.
class Http2StreamEnd final : public port::Stream {
 public:
  Http2StreamEnd(std::shared_ptr<Http2Stream> stream, std::string peer)
      : stream_(std::move(stream)), peer_(std::move(peer)) {}
  ~Http2StreamEnd() override { stream_->leave(); }

  port::IoResult try_read(std::span<char> into) override { return stream_->read(into); }
  port::IoResult try_write(std::span<const std::string_view> pieces) override {
    return stream_->write(pieces);
  }
  port::Task<port::IoStatus> readable() override;
  port::Task<port::IoStatus> writable() override;
  void when_readable(std::function<void(port::IoStatus)> callback) override {
    stream_->when_readable(std::move(callback));
  }
  void when_writable(std::function<void(port::IoStatus)> callback) override {
    stream_->when_writable(std::move(callback));
  }
  void cancel() override { stream_->cancel(); }
  void close(port::CloseMode mode) override;
  std::string peer() const override { return peer_; }

 private:
  std::shared_ptr<Http2Stream> stream_;
  std::string peer_;
};

}  // namespace infermesh::data
