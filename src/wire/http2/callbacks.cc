#include "wire/http2/callbacks.h"

#include <fmt/format.h>

#include <vector>

#include "base/assert.h"
#include "base/text.h"
#include "wire/http2/session.h"

namespace infermesh::http2 {
namespace {

constexpr std::size_t kFrameHeadBytes = 9;

std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

bool ends_stream(const nghttp2_frame_hd& head) {
  return (head.flags & NGHTTP2_FLAG_END_STREAM) != 0;
}

}  // namespace

// The half of Session that nghttp2 sees.
struct Callbacks {
  static int on_begin_frame(nghttp2_session*, const nghttp2_frame_hd* head, void* user) {
    auto& self = *static_cast<Session*>(user);
    const bool of_head = head->type == NGHTTP2_HEADERS || head->type == NGHTTP2_CONTINUATION;
    if (of_head) self.amid_head_ = (head->flags & NGHTTP2_FLAG_END_HEADERS) == 0;
    const bool idle = head->type == NGHTTP2_PING || head->type == NGHTTP2_SETTINGS ||
                      head->type == NGHTTP2_PRIORITY || head->type == NGHTTP2_WINDOW_UPDATE;
    if (idle) self.spend(self.guard_.idle_frame(self.now_));
    return 0;
  }

  static int on_begin_headers(nghttp2_session*, const nghttp2_frame*, void* user) {
    auto& self = *static_cast<Session*>(user);
    self.block_ = {};
    self.block_bytes_ = 0;
    return 0;
  }

  // A head over the limit is read on, for the compression's state, but no longer kept; far over it
  // the stream is reset.
  static int on_header(nghttp2_session*, const nghttp2_frame*, const std::uint8_t* name,
                       std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                       std::uint8_t, void* user) {
    auto& self = *static_cast<Session*>(user);
    self.block_bytes_ += name_size + value_size + 32;
    if (self.block_bytes_ <= self.limits_.head_bytes_max) {
      self.block_.add(text_of(name, name_size), text_of(value, value_size));
    }
    const bool hopeless = self.block_bytes_ > 8 * self.limits_.head_bytes_max;
    return hopeless ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
  }

  static void begin_request(Session& self, nghttp2_session* session, const nghttp2_frame& frame) {
    const StreamId id = frame.hd.stream_id;
    const bool fits = self.block_bytes_ <= self.limits_.head_bytes_max;
    Result<http::RequestHead> head = fail(
        ErrorCode::kHeaderTooLarge,
        fmt::format("The head is over the limit of {}.", format_size(self.limits_.head_bytes_max)));
    if (fits) {
      head = read_request_head(self.block_, ends_stream(frame.hd) ? Body::kNone : Body::kFollows);
    }
    StreamPeer* peer = self.peer_.on_request(id, std::move(head), std::move(self.block_));
    if (peer == nullptr) return self.reset(id, Code::kRefused);
    nghttp2_session_set_stream_user_data(session, id, peer);
    if (ends_stream(frame.hd)) peer->on_end({});
  }

  static void take_headers(Session& self, nghttp2_session* session, const nghttp2_frame& frame) {
    if (self.role_ == Session::Role::kServer && frame.headers.cat == NGHTTP2_HCAT_REQUEST)
      return begin_request(self, session, frame);
    StreamPeer* peer = self.peer_of(frame.hd.stream_id);
    if (peer == nullptr) return;
    const bool fits = self.block_bytes_ <= self.limits_.head_bytes_max;
    if (!fits) return self.reset(frame.hd.stream_id, Code::kEnhanceYourCalm);
    const bool last = ends_stream(frame.hd);
    const auto status = self.block_.find(":status");
    if (!status) {
      if (last) peer->on_end(std::move(self.block_));
      return;
    }
    if (status->starts_with('1')) return;  // interim
    peer->on_response(std::move(self.block_), last ? Body::kNone : Body::kFollows);
    if (last) peer->on_end({});
  }

  static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    auto& self = *static_cast<Session*>(user);
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        take_headers(self, session, *frame);
        break;
      case NGHTTP2_DATA:
        if (ends_stream(frame->hd)) {
          if (StreamPeer* peer = self.peer_of(frame->hd.stream_id)) peer->on_end({});
        } else if (frame->hd.length <= frame->data.padlen) {
          self.spend(self.guard_.idle_frame(self.now_));
        }
        break;
      case NGHTTP2_RST_STREAM:
        self.spend(self.guard_.reset(self.now_));
        break;
      case NGHTTP2_GOAWAY:
        self.peer_.on_goaway(frame->goaway.last_stream_id,
                             static_cast<Code>(frame->goaway.error_code));
        break;
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) self.peer_.on_pong();
        break;
      default:
        break;
    }
    return 0;
  }

  // Frames that nghttp2 answers with a reset: the peer has us do the work of its resets.
  static int on_invalid_frame(nghttp2_session*, const nghttp2_frame*, int, void* user) {
    auto& self = *static_cast<Session*>(user);
    self.spend(self.guard_.reset(self.now_));
    return 0;
  }

  static int on_data(nghttp2_session*, std::uint8_t, StreamId id, const std::uint8_t* data,
                     std::size_t size, void* user) {
    auto& self = *static_cast<Session*>(user);
    if (StreamPeer* peer = self.peer_of(id)) {
      peer->on_body(text_of(data, size));
    } else {
      self.consume(id, size);
      self.consume_connection(size);
    }
    return 0;
  }

  static int on_close(nghttp2_session* session, StreamId id, std::uint32_t code, void* user) {
    auto& self = *static_cast<Session*>(user);
    const auto why = static_cast<Code>(code);
    const bool fault =
        why == Code::kProtocol || why == Code::kFlowControl || why == Code::kStreamClosed;
    if (fault) self.spend(self.guard_.reset(self.now_));
    StreamPeer* peer = self.peer_of(id);
    if (peer == nullptr) return 0;
    nghttp2_session_set_stream_user_data(session, id, nullptr);
    peer->on_closed(why);
    return 0;
  }

  static int send_data(nghttp2_session*, nghttp2_frame* frame, const std::uint8_t* head,
                       std::size_t size, nghttp2_data_source*, void* user) {
    auto& self = *static_cast<Session*>(user);
    StreamPeer* peer = self.peer_of(frame->hd.stream_id);
    if (peer == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    IM_ASSERT(self.sink_ != nullptr && frame->data.padlen == 0);
    self.sink_->append(text_of(head, kFrameHeadBytes));
    peer->take(size, *self.sink_);
    self.guard_.data_sent();
    return self.sink_->size() >= self.enough_ ? NGHTTP2_ERR_PAUSE : 0;
  }

  static ssize_t offer(Session& self, nghttp2_session* session, StreamId id, std::size_t most,
                       std::uint32_t* flags) {
    StreamPeer* peer = self.peer_of(id);
    if (peer == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    const Offer offered = peer->offer(most);
    if (offered.then == Offer::Then::kAbort && offered.bytes == 0)
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (offered.bytes == 0 && offered.then == Offer::Then::kMore) return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (offered.then == Offer::Then::kEnd) *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (offered.trailers != nullptr) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      std::vector<nghttp2_nv> pairs;
      for (const http::Header& field : *offered.trailers) {
        pairs.push_back({reinterpret_cast<std::uint8_t*>(const_cast<char*>(field.name.data())),
                         reinterpret_cast<std::uint8_t*>(const_cast<char*>(field.value.data())),
                         field.name.size(), field.value.size(), NGHTTP2_NV_FLAG_NONE});
      }
      nghttp2_submit_trailer(session, id, pairs.data(), pairs.size());
    }
    return static_cast<ssize_t>(offered.bytes);
  }

  static const nghttp2_session_callbacks* make() {
    nghttp2_session_callbacks* all = nullptr;
    IM_ASSERT(nghttp2_session_callbacks_new(&all) == 0);
    nghttp2_session_callbacks_set_on_begin_frame_callback(all, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(all, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(all, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(all, on_frame);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(all, on_invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(all, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(all, on_close);
    nghttp2_session_callbacks_set_send_data_callback(all, send_data);
    return all;
  }
};

const nghttp2_session_callbacks* session_callbacks() {
  static const nghttp2_session_callbacks* const kAll = Callbacks::make();
  return kAll;
}

ssize_t read_offer(nghttp2_session* session, StreamId id, std::uint8_t*, std::size_t most,
                   std::uint32_t* flags, nghttp2_data_source*, void* user) {
  return Callbacks::offer(*static_cast<Session*>(user), session, id, most, flags);
}

}  // namespace infermesh::http2
