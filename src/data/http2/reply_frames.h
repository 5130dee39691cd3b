// Http2ReplyFrames: the head of a Reply on an HTTP/2 stream. Of one request, as long as its Reply.
#pragma once

#include "data/http2/stream.h"
#include "data/stream/reply.h"

namespace infermesh::data {

class Http2ReplyFrames final : public ReplyFrames {
 public:
  explicit Http2ReplyFrames(Http2Stream& stream) : stream_(stream) {}

  void begin(int status, std::optional<std::uint64_t> length) override;
  void header(std::string_view name, std::string_view value) override;
  void send_head() override;
  void send_interim(int status) override;
  bool head_sent() const { return sent_; }

 private:
  Http2Stream& stream_;
  http2::FieldBlock block_;
  bool sent_ = false;
};

}  // namespace infermesh::data
