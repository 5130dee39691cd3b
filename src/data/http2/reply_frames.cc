#include "data/http2/reply_frames.h"

#include "data/http2/link.h"

namespace infermesh::data {

void Http2ReplyFrames::begin(int status, std::optional<std::uint64_t> length) {
  block_ = {};
  block_.add(":status", std::to_string(status));
  if (length) block_.add("content-length", std::to_string(*length));
}

void Http2ReplyFrames::header(std::string_view name, std::string_view value) {
  block_.add(name, value);
}

void Http2ReplyFrames::send_head() {
  sent_ = true;
  stream_.respond(block_, http2::Body::kFollows);
}

void Http2ReplyFrames::send_interim(int status) {
  if (stream_.link() == nullptr || stream_.closed()) return;
  stream_.link()->session().interim(stream_.id(), status);
  stream_.link()->wants_to_send(stream_);
}

}  // namespace infermesh::data
