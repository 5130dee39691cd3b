#include "data/server/connection.h"

#include <algorithm>

#include "data/server/http2_connection.h"
#include "data/server/serve_request.h"
#include "data/stream/reply.h"
#include "data/stream/waiter.h"
#include "wire/http/head.h"
#include "wire/http2/session.h"

namespace infermesh::data {

LiveConnection::LiveConnection(LiveConnections& all, Waiter& waiter)
    : all_(all), index_(all.size()), waiter_(waiter) {
  all_.push_back(this);
}

LiveConnection::~LiveConnection() {
  all_[index_] = all_.back();
  all_[index_]->index_ = index_;
  all_.pop_back();
}

namespace {

constexpr Duration kLingerMax =
    1s;  // after an early answer: how long the rest of a request is taken in
constexpr std::size_t kHeadReadBytes = 8 << 10;
constexpr std::size_t kLingerBytesMax = 4 << 20;  // and how much of it

class Connection final : public HeadHolder {
 public:
  Connection(Shard& shard, LiveConnections& all, port::StreamPtr stream)
      : shard_(shard),
        client_(std::move(stream)),
        waiter_(shard.loop, client_, shard.scratch,
                {shard.settings.head_bytes_max, shard.settings.client_stall_timeout}),
        parser_(shard.settings.head_bytes_max),
        entry_(all, waiter_) {
    client_.stream.attach(&waiter_.wake);
    client_.half_close_is_gone = shard.settings.half_close_cancels;
  }

  void forget_headers() override { http::forget_headers(parser_.head(), head_text_); }

  port::Task<void> run() {
    while (co_await read_head()) {
      if (http2_) {
        co_await serve_http2({shard_, client_, waiter_, entry_});
        if (!client_.ended && !client_.out.failed()) co_await linger();
        co_return;
      }
      fresh_ = false;
      entry_.idle = false;
      const bool again = co_await serve_one();
      entry_.idle = true;
      if (!again) break;
      // Who sends ahead must not keep the loop to itself.
      if (!client_.input.empty()) co_await shard_.loop.sleep_until(shard_.loop.now() + 1ns);
    }
  }

 private:
  // What has come is HTTP/2's preface, or may become it.
  bool is_preface() const {
    return http2::kClientPreface.starts_with(
        std::string_view(client_.input).substr(0, http2::kClientPreface.size()));
  }
  port::Task<bool> read_head();
  port::Task<bool> serve_one();
  port::Task<void> refuse(const Error& error);
  port::Task<void> linger();
  Duration head_patience() const;
  Instant leave_by(Instant idle_since) const;

  Shard& shard_;
  ClientSide client_;
  Waiter waiter_;
  http::RequestHeadParser parser_;
  LiveConnection entry_;
  std::string head_text_;  // what the head's views point into
  std::size_t head_size_ = 0;
  bool fresh_ = true;   // no request has come yet
  bool http2_ = false;  // the client speaks it
};

// Nothing of a request yet: the connection may idle. Some of it: the rest must follow soon.
Duration Connection::head_patience() const {
  return client_.input.empty() ? shard_.settings.client_idle_timeout
                               : shard_.settings.client_head_timeout;
}

// An idle connection in a drain: a request may be on its way.
Instant Connection::leave_by(Instant idle_since) const {
  return std::max(idle_since, shard_.drain_began) + shard_.drain_idle;
}

port::Task<bool> Connection::read_head() {
  waiter_.watch_client = false;
  waiter_.total_deadline = kNever;
  waiter_.keepalive_due = kNever;
  waiter_.phase_deadline = shard_.loop.now() + head_patience();
  parser_.reset();
  const Instant idle_since = shard_.loop.now();
  bool begun = !client_.input.empty();
  while (true) {
    if (!client_.input.empty()) {
      if (!begun) waiter_.phase_deadline = shard_.loop.now() + shard_.settings.client_head_timeout;
      begun = true;
      if (fresh_ && is_preface()) {
        http2_ = client_.input.size() >= http2::kClientPreface.size();
        if (http2_) co_return true;
      } else {
        const auto progress = parser_.feed(client_.input);
        if (!progress) {
          co_await refuse(progress.error());
          co_return false;
        }
        if (progress->state == http::HeadState::kDone) {
          head_size_ = progress->consumed;
          co_return true;
        }
      }
    }
    if (client_.stream.may_read()) {
      // Little of a long body comes along: the rest is read to where it is kept.
      const auto read = client_.read_more(std::span(shard_.scratch).first(kHeadReadBytes));
      if (read == ClientSide::Read::kSome) continue;
      if (read == ClientSide::Read::kGone) co_return false;
    }
    if (shard_.draining && client_.input.empty()) {
      waiter_.phase_deadline = std::min(waiter_.phase_deadline, leave_by(idle_since));
    }
    Wake woken = Wake::kPhaseDeadline;
    if (waiter_.phase_deadline > shard_.loop.now()) woken = co_await waiter_.wait();
    if (woken == Wake::kProgress) continue;
    if (woken != Wake::kPhaseDeadline) co_return false;
    if (begun) {
      const Error late{ErrorCode::kRequestTimeout, "The request head did not arrive in time.", {}};
      co_await refuse(late);
      co_return false;
    }
    // What came since the loop last looked is a request all the same.
    const auto last = client_.read_more(std::span(shard_.scratch).first(kHeadReadBytes));
    if (last != ClientSide::Read::kSome) co_return false;
  }
}

port::Task<bool> Connection::serve_one() {
  // The head's views must stay put while more of the body is read onto `input`.
  std::string rest(client_.input, head_size_);
  head_text_ = std::move(client_.input);
  client_.input = std::move(rest);
  const http::RequestHead& head = std::as_const(parser_).head();

  Reply reply(client_, {head.version_minor, head.keep_alive, nullptr, payload_for(head)});
  if (shard_.draining) reply.close_after();
  const RequestStart start = start_request(shard_, &head);
  co_await serve_request({shard_, client_, waiter_, reply, start, *this}, head);
  if (!co_await flush_reply(shard_, client_, waiter_)) {
    client_.stream.close(port::CloseMode::kReset);
    co_return false;
  }
  if (reply.keep_alive() && reply.ended()) {
    head_text_.clear();
    if (head_text_.capacity() > 4096) head_text_.shrink_to_fit();
    co_return true;
  }
  // HTTP/1.0 has no other sign that an answer of unknown length is not whole.
  if (reply.aborted() && head.version_minor == 0) {
    client_.stream.close(port::CloseMode::kReset);
    co_return false;
  }
  co_await linger();
  co_return false;
}

// The head could not be read: what follows on the connection has no meaning, so it ends.
port::Task<void> Connection::refuse(const Error& error) {
  Reply reply(client_, {1, false});
  const RequestStart start = start_request(shard_, nullptr);
  refuse_request({shard_, client_, waiter_, reply, start, *this}, error);
  if (co_await flush_reply(shard_, client_, waiter_)) co_await linger();
}

// Closing a socket with unread input resets the connection and may take the answer with it. So: end
// our side, take in what still comes for a moment, then close.
port::Task<void> Connection::linger() {
  client_.stream.close(port::CloseMode::kSendOnly);
  waiter_.phase_deadline = shard_.loop.now() + kLingerMax;
  std::size_t taken = client_.input.size();
  while (taken < kLingerBytesMax) {
    client_.input.clear();
    if (client_.stream.may_read()) {
      const auto read = client_.read_more(shard_.scratch);
      if (read == ClientSide::Read::kGone) co_return;
      taken += client_.input.size();
      if (read == ClientSide::Read::kSome) continue;
    }
    if (co_await waiter_.wait() != Wake::kProgress) co_return;
  }
}

}  // namespace

port::Task<void> serve_connection(Shard& shard, LiveConnections& all, port::StreamPtr stream) {
  Connection connection(shard, all, std::move(stream));
  co_await connection.run();
}

}  // namespace infermesh::data
