#include "data/server/http2_connection.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "base/free_text.h"
#include "data/grpc/call.h"
#include "data/http2/link.h"
#include "data/http2/reply_frames.h"
#include "data/http2/stream_end.h"
#include "data/server/serve_request.h"

namespace infermesh::data {
namespace {

// From the announcement of a drain to its GOAWAY, and for the last words of streams that are
// stopped.
constexpr Duration kNoticeTime = 1s;

http2::Session::Limits session_limits(const config::Settings& settings) {
  http2::Session::Limits limits;
  limits.streams_max = settings.http2_streams_max;
  limits.head_bytes_max = settings.head_bytes_max;
  return limits;
}

// A request as its stream is served.
class Arrived final : public HeadHolder {
 public:
  Arrived(std::shared_ptr<Http2Stream> on, Result<http::RequestHead> asked,
          http2::FieldBlock fields)
      : stream(std::move(on)), head(std::move(asked)), block_(std::move(fields)) {}

  void forget_headers() override {
    http::forget_headers(*head, kept_);
    const http2::FieldBlock gone(std::move(block_));
  }

  std::shared_ptr<Http2Stream> stream;
  Result<http::RequestHead> head;

 private:
  http2::FieldBlock block_;  // that the head's views lie in, until they
  std::string kept_;         // lie here
};

class Http2Connection final : public Http2LinkOwner {
 public:
  explicit Http2Connection(Http2Parts parts)
      : shard_(parts.shard),
        transport_(parts.transport),
        waiter_(parts.waiter),
        peer_(transport_.stream.peer()),
        link_(http2::Session::Role::kServer, session_limits(shard_.settings),
              {shard_.loop, transport_.stream, transport_.out, waiter_.wake}, *this) {
    parts.entry.idle = true;  // a drain wakes it, whatever is on its streams
  }

  port::Task<void> run();

 private:
  enum class Go : std::uint8_t { kOn, kEnd };
  bool on_stream(std::shared_ptr<Http2Stream> stream, Result<http::RequestHead> head,
                 http2::FieldBlock block) override;
  void on_goaway(http2::StreamId, http2::Code) override {}  // its streams may still end
  void on_pong() override { pong_ = true; }

  port::Task<void> converse();
  Go after_wait(Wake woken);
  Instant next_deadline();
  void go_on_draining();
  port::Task<void> serve(std::unique_ptr<Arrived> arrived);
  port::Task<void> answer(Arrived& arrived, ClientSide& client, Waiter& waiter);
  port::Task<void> send_rest(Http2Stream& stream, Waiter& waiter);

  Shard& shard_;
  ClientSide& transport_;
  Waiter& waiter_;
  std::string peer_;
  Http2Link link_;
  std::vector<Waiter*> live_;  // one a stream that is served
  std::size_t serving_ = 0;    // and those about to be
  Instant idle_since_ = kNever, head_since_ = kNever, noticed_at_ = kNever, stop_by_ = kNever,
          drain_since_ = kNever;
  bool pong_ = false, sent_away_ = false;
};

bool Http2Connection::on_stream(std::shared_ptr<Http2Stream> stream, Result<http::RequestHead> head,
                                http2::FieldBlock block) {
  // Streams that were reset are served until their exchange has noticed.
  if (serving_ >= 2 * std::size_t{shard_.settings.http2_streams_max}) return false;
  auto arrived = std::make_unique<Arrived>(std::move(stream), std::move(head), std::move(block));
  ++serving_;
  shard_.loop.spawn(serve(std::move(arrived)));
  return true;
}

port::Task<void> Http2Connection::serve(std::unique_ptr<Arrived> arrived) {
  ClientSide client(std::make_unique<Http2StreamEnd>(arrived->stream, peer_));
  client.half_close_is_gone = false;
  client.reset_follows_end = true;
  Waiter waiter(shard_.loop, client, shard_.scratch,
                {shard_.settings.head_bytes_max, shard_.settings.client_stall_timeout});
  client.stream.attach(&waiter.wake);
  live_.push_back(&waiter);
  if (stop_by_ != kNever) waiter.stop();
  co_await answer(*arrived, client, waiter);
  std::erase(live_, &waiter);
  --serving_;
  waiter_.wake.set();
}

port::Task<void> Http2Connection::answer(Arrived& arrived, ClientSide& client, Waiter& waiter) {
  Http2Stream& stream = *arrived.stream;
  if (arrived.head && is_grpc(*arrived.head)) {
    const RequestStart begun = start_request(shard_, &*arrived.head);
    co_await run_grpc_call({shard_, stream, client, waiter, *arrived.head, begun});
    co_await send_rest(stream, waiter);
    co_return;
  }
  Http2ReplyFrames frames(stream);
  const auto payload = arrived.head ? payload_for(*arrived.head) : Reply::Payload::kSent;
  Reply reply(client, {1, true, &frames, payload});
  const RequestStart start = start_request(shard_, arrived.head ? &*arrived.head : nullptr);
  const Serving serving{shard_, client, waiter, reply, start, arrived};
  if (arrived.head) {
    co_await serve_request(serving, *arrived.head);
  } else {
    refuse_request(serving, arrived.head.error());
  }
  if (!co_await flush_reply(shard_, client, waiter) || !reply.ended()) {
    stream.reset(http2::Code::kCancel);
    co_return;
  }
  if (reply.aborted()) {
    stream.abort();
  } else {
    stream.end();
  }
  co_await send_rest(stream, waiter);
}

// What the stream holds of the answer leaves as the client's window allows.
port::Task<void> Http2Connection::send_rest(Http2Stream& stream, Waiter& waiter) {
  stream.on_change(&waiter.wake);
  std::size_t seen = stream.pending();
  waiter.phase_deadline = shard_.loop.now() + shard_.settings.client_stall_timeout;
  while (!stream.closed() && !stream.sent_all()) {
    const Wake woken = co_await waiter.wait();
    if (stream.pending() < seen) {
      seen = stream.pending();
      waiter.phase_deadline = shard_.loop.now() + shard_.settings.client_stall_timeout;
    }
    if (woken == Wake::kProgress || stream.closed() || stream.sent_all()) continue;
    if (woken == Wake::kPhaseDeadline && waiter.phase_deadline > shard_.loop.now()) continue;
    if (woken == Wake::kPhaseDeadline) shard_.meter.client_stalled();
    stream.reset(http2::Code::kCancel);
    co_return;
  }
}

port::Task<void> Http2Connection::run() {
  co_await converse();
  link_.close(http2::Code::kCancel);
  while (serving_ > 0) {
    co_await waiter_.wake.wait();
  }
}

port::Task<void> Http2Connection::converse() {
  waiter_.watch_client = false;
  idle_since_ = shard_.loop.now();
  auto state = link_.receive(std::string_view(transport_.input));
  free_text(transport_.input);
  while (true) {
    if (shard_.draining) go_on_draining();
    link_.send();
    if (state == Http2Link::State::kEnded || link_.session().over()) co_return;
    if (sent_away_ && serving_ == 0 && link_.open_streams() == 0) co_return;
    waiter_.phase_deadline = next_deadline();
    const Wake woken = co_await waiter_.wait();
    if (after_wait(woken) == Go::kEnd) {
      link_.session().go_away(http2::Code::kNone);
      link_.send();
      co_return;
    }
    state = link_.receive(shard_.scratch);
    if (link_.saw_peer_end()) transport_.ended = true;
  }
}

Http2Connection::Go Http2Connection::after_wait(Wake woken) {
  switch (woken) {
    case Wake::kProgress:
      return Go::kOn;
    case Wake::kStopped:  // streams say so to their clients, if that can be done at once
      if (stop_by_ == kNever) {
        stop_by_ = shard_.loop.now() + kNoticeTime;
        for (Waiter* waiter : live_) waiter->stop();
      }
      return serving_ == 0 || shard_.loop.now() >= stop_by_ ? Go::kEnd : Go::kOn;
    case Wake::kPhaseDeadline:
      return drain_since_ != kNever && !sent_away_ ? Go::kOn : Go::kEnd;
    case Wake::kClientStalled:
      shard_.meter.client_stalled();
      transport_.stream.close(port::CloseMode::kReset);
      transport_.ended = true;
      return Go::kEnd;
    default:
      return Go::kEnd;
  }
}

// A head half here, a connection without streams, an announced drain: each has its time.
Instant Http2Connection::next_deadline() {
  const Instant now = shard_.loop.now();
  const bool idle = serving_ == 0 && link_.open_streams() == 0;
  if (!idle) idle_since_ = kNever;
  if (idle && idle_since_ == kNever) idle_since_ = now;
  const bool amid_head = link_.session().amid_head();
  if (!amid_head) head_since_ = kNever;
  if (amid_head && head_since_ == kNever) head_since_ = now;
  Instant next = stop_by_;
  if (idle) next = std::min(next, idle_since_ + shard_.settings.client_idle_timeout);
  if (amid_head) next = std::min(next, head_since_ + shard_.settings.client_head_timeout);
  if (drain_since_ != kNever && noticed_at_ == kNever)
    next = std::min(next, drain_since_ + shard_.settings.drain_timeout / 2);
  if (noticed_at_ != kNever && !sent_away_) next = std::min(next, noticed_at_ + kNoticeTime);
  return next;
}

// First an announcement, so that requests already on their way are taken; then the end of new ones.
void Http2Connection::go_on_draining() {
  const Instant now = shard_.loop.now();
  if (drain_since_ == kNever) drain_since_ = now;
  // Some clients (Python's h2) read nothing more after a GOAWAY: what runs has its time first.
  const bool busy = serving_ > 0 || link_.open_streams() > 0;
  if (noticed_at_ == kNever && busy && now < drain_since_ + shard_.settings.drain_timeout / 2)
    return;
  if (noticed_at_ == kNever) {
    noticed_at_ = now;
    link_.session().announce_shutdown();
    link_.session().ping();
    return;
  }
  if (sent_away_ || (!pong_ && now < noticed_at_ + kNoticeTime)) return;
  sent_away_ = true;
  link_.session().go_away(http2::Code::kNone);
}

}  // namespace

port::Task<void> serve_http2(Http2Parts parts) {
  Http2Connection connection(parts);
  co_await connection.run();
}

}  // namespace infermesh::data
