#include "data/http2/link.h"

namespace infermesh::data {
namespace {

constexpr std::size_t kSendAtOnce = 64 << 10;

}  // namespace

Http2Link::Http2Link(http2::Session::Role role, const http2::Session::Limits& limits, Wires wires,
                     Http2LinkOwner& owner)
    : wires_(wires),
      owner_(owner),
      self_(std::make_shared<Http2Link*>(this)),
      session_(role, limits, *this) {}

Http2Link::~Http2Link() {
  close(http2::Code::kCancel);
}

Http2Link::State Http2Link::receive(std::string_view bytes) {
  return session_.feed(bytes, wires_.loop.now()) ? State::kOpen : State::kEnded;
}

Http2Link::State Http2Link::receive(std::span<char> scratch) {
  if (!wires_.stream.may_read()) return State::kOpen;
  const port::IoResult got = wires_.stream.read(scratch);
  if (got.status == port::IoStatus::kWouldBlock) return State::kOpen;
  if (got.status != port::IoStatus::kOk) {
    peer_ended_ = true;
    return State::kEnded;
  }
  heard_at_ = wires_.loop.now();
  // Others get their turn before the rest is read.
  if (wires_.stream.may_read()) wires_.wake.set();
  return receive(std::string_view(scratch.data(), got.bytes));
}

void Http2Link::send() {
  std::string frames;
  while (!wires_.out.blocked() && !wires_.out.failed() && session_.has_output()) {
    frames.clear();
    session_.produce(frames, kSendAtOnce);
    if (!frames.empty()) wires_.out.write(frames);
    if (frames.empty() || !session_.has_output()) break;
  }
  if (answered_.empty() || wires_.out.blocked()) return;
  for (const http2::StreamId id : std::exchange(answered_, {})) {
    if (streams_.contains(id)) session_.reset(id, http2::Code::kNone);
  }
  send();
}

void Http2Link::close(http2::Code code) {
  const auto all = std::exchange(streams_, {});
  for (const auto& [id, stream] : all) {
    session_.forget(id);
    if (!stream->closed()) stream->on_closed(code);
  }
  *self_ = nullptr;
}

Result<std::shared_ptr<Http2Stream>> Http2Link::open(const http::Headers& fields,
                                                     http2::Body body) {
  auto stream = std::make_shared<Http2Stream>(self_);
  const auto id = session_.request(fields, *stream, body);
  if (!id) return std::unexpected(id.error());
  stream->asked(*id, body);
  streams_.emplace(*id, stream);
  wires_.wake.set();
  return stream;
}

void Http2Link::wants_to_send(Http2Stream& stream) {
  session_.resume(stream.id());
  wires_.wake.set();
}

void Http2Link::reset(Http2Stream& stream, http2::Code code) {
  session_.reset(stream.id(), code);
  wires_.wake.set();
}

void Http2Link::reset_after_send(Http2Stream& stream) {
  answered_.push_back(stream.id());
  wires_.wake.set();
}

void Http2Link::note_arrived(std::size_t bytes) {
  unread_ += bytes;
  if (unread_ > kUnreadMax) {
    withheld_ += bytes;
  } else {
    session_.consume_connection(bytes);
  }
}

void Http2Link::note_read(Http2Stream& stream, std::size_t bytes) {
  unread_ -= bytes;
  if (!stream.closed()) session_.consume(stream.id(), bytes);
  if (withheld_ > 0 && unread_ <= kUnreadMax / 2) {
    session_.consume_connection(std::exchange(withheld_, 0));
  }
  if (session_.has_output()) wires_.wake.set();
}

void Http2Link::stream_closed(http2::StreamId id) {
  streams_.erase(id);
}

void Http2Link::call_soon(Http2Stream& stream) {
  wires_.loop.post([weak = stream.weak_from_this()] {
    if (const auto there = weak.lock()) there->tell_ready();
  });
}

http2::StreamPeer* Http2Link::on_request(http2::StreamId id, Result<http::RequestHead> head,
                                         http2::FieldBlock block) {
  auto stream = std::make_shared<Http2Stream>(self_);
  stream->accepted(id);
  if (!owner_.on_stream(stream, std::move(head), std::move(block))) return nullptr;
  return streams_.emplace(id, std::move(stream)).first->second.get();
}

}  // namespace infermesh::data
