#include "data/server/connection.h"

#include <fmt/format.h>

#include "data/exchange/errors.h"
#include "data/exchange/exchange.h"
#include "data/server/kserve_replies.h"
#include "data/server/own_replies.h"
#include "data/server/request_id.h"
#include "data/server/route_table.h"
#include "data/stream/reply.h"
#include "data/stream/waiter.h"
#include "wire/http/head.h"
#include "wire/http/percent.h"

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

class Connection {
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

  port::Task<void> run() {
    while (co_await read_head()) {
      entry_.idle = false;
      const bool again = co_await serve_request();
      entry_.idle = true;
      if (!again) break;
      // Who sends ahead must not keep the loop to itself.
      if (!client_.input.empty()) co_await shard_.loop.sleep_until(shard_.loop.now() + 1ns);
    }
  }

 private:
  port::Task<bool> read_head();
  port::Task<bool> serve_request();
  port::Task<void> answer(const http::RequestHead& head, Reply& reply, const RequestStart& start);
  port::Task<void> answer_kserve(const http::RequestHead& head, Reply& reply,
                                 const RouteMatch& match, const RequestStart& start);
  port::Task<std::optional<std::string>> small_body(const http::RequestHead& head);
  port::Task<void> refuse(const Error& error);
  struct Asked {
    std::string_view method, path, api, error;
  };
  void note(const Reply& reply, const RequestStart& start, const Asked& asked);
  port::Task<bool> flush();
  port::Task<void> linger();
  Duration head_patience() const;

  Shard& shard_;
  ClientSide client_;
  Waiter waiter_;
  http::RequestHeadParser parser_;
  LiveConnection entry_;
  std::string head_text_;  // what the head's views point into
  std::size_t head_size_ = 0;
};

// Nothing of a request yet: the connection may idle. Some of it: the rest must follow soon.
Duration Connection::head_patience() const {
  return client_.input.empty() ? shard_.settings.client_idle_timeout
                               : shard_.settings.client_head_timeout;
}

port::Task<bool> Connection::read_head() {
  waiter_.watch_client = false;
  waiter_.total_deadline = kNever;
  waiter_.keepalive_due = kNever;
  waiter_.phase_deadline = shard_.loop.now() + head_patience();
  parser_.reset();
  bool begun = !client_.input.empty();
  while (true) {
    if (!client_.input.empty()) {
      if (!begun) waiter_.phase_deadline = shard_.loop.now() + shard_.settings.client_head_timeout;
      begun = true;
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
    if (client_.stream.may_read()) {
      // Little of a long body comes along: the rest is read to where it is kept.
      const auto read = client_.read_more(std::span(shard_.scratch).first(kHeadReadBytes));
      if (read == ClientSide::Read::kSome) continue;
      if (read == ClientSide::Read::kGone) co_return false;
    }
    if (shard_.draining && client_.input.empty()) co_return false;
    switch (co_await waiter_.wait()) {
      case Wake::kProgress:
        break;
      case Wake::kPhaseDeadline:
        if (begun) {
          const Error late{
              ErrorCode::kRequestTimeout, "The request head did not arrive in time.", {}};
          co_await refuse(late);
        }
        co_return false;
      default:
        co_return false;
    }
  }
}

port::Task<bool> Connection::serve_request() {
  // The head's views must stay put while more of the body is read onto `input`.
  head_text_ = std::move(client_.input);
  client_.input.assign(head_text_, head_size_);
  const http::RequestHead& head = parser_.head();

  Reply reply(client_, {head.version_minor, head.keep_alive});
  if (shard_.draining) reply.close_after();
  RequestStart start;
  start.received = shard_.loop.now();
  start.received_wall = shard_.loop.wall_now();
  const auto id = http::find(head.headers, http::HeaderName::kXRequestId);
  start.request_id = id && is_usable_request_id(*id)
                         ? std::string(*id)
                         : mint_request_id(start.received_wall, shard_.rng);
  co_await answer(head, reply, start);
  if (!co_await flush()) {
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

port::Task<void> Connection::answer(const http::RequestHead& head, Reply& reply,
                                    const RequestStart& start) {
  const RouteMatch match = find_route(head.method, head.path);
  if (match.status == RouteStatus::kFound && match.route->action == Action::kInference) {
    std::string model = match.model;
    if (match.route->api == Api::kRealtime) {
      model = http::percent_decoded(http::query_value(head.query, "model").value_or(""));
    }
    const NamedByTarget named{model, match.stream};
    const ExchangeParts parts{shard_,           client_,    waiter_, reply, head,
                              match.route->api, match.path, start,   {},    named};
    co_await run_exchange(parts);
    co_return;
  }
  if (match.status == RouteStatus::kFound && match.route->action == Action::kKserve) {
    co_await answer_kserve(head, reply, match, start);
    co_return;
  }
  if (match.status == RouteStatus::kFound && match.route->action == Action::kStored) {
    const std::string path =
        fmt::format("{}{}{}", match.route->path, match.rest, match.route->tail);
    co_await run_exchange(
        {shard_, client_, waiter_, reply, head, match.route->api, path, start, match.rest});
    co_return;
  }
  const bool has_body =
      head.framing() != http::BodyFraming::kNone && head.content_length.value_or(1) > 0;
  if (has_body) reply.close_after();
  const bool found = match.status == RouteStatus::kFound;
  const std::string_view error = found
                                     ? reply_itself(shard_, reply, *match.route, match.rest, start)
                                     : reply_unrouted(shard_, reply, head, match, start);
  note(reply, start, {head.method, head.path, found ? "models" : "unknown", error});
}

port::Task<void> Connection::answer_kserve(const http::RequestHead& head, Reply& reply,
                                           const RouteMatch& match, const RequestStart& start) {
  const auto body = co_await small_body(head);
  if (!body) reply.close_after();
  const std::string_view error =
      reply_kserve(shard_, reply, match, body ? *body : std::string_view(), start);
  note(reply, start, {head.method, head.path, "kserve", error});
}

// A body of a few bytes, whole; nothing when it is not that.
port::Task<std::optional<std::string>> Connection::small_body(const http::RequestHead& head) {
  http::BodyDecoder decoder(head);
  std::string body;
  waiter_.phase_deadline = shard_.loop.now() + shard_.settings.client_body_timeout;
  while (!decoder.done()) {
    const http::BodyPiece piece = decoder.decode(client_.input);
    if (body.size() + piece.payload.size() > kIndexBodyMax) co_return std::nullopt;
    body.append(piece.payload);
    client_.input.erase(0, piece.consumed);
    if (piece.state == http::BodyState::kError) co_return std::nullopt;
    if (decoder.done() || !client_.input.empty()) continue;
    const auto read = client_.read_more(shard_.scratch);
    if (read == ClientSide::Read::kGone) co_return std::nullopt;
    if (read == ClientSide::Read::kSome) continue;
    const Wake woken = co_await waiter_.wait();
    if (woken != Wake::kProgress) co_return std::nullopt;
  }
  co_return body;
}

// For metrics and the access log, when no exchange does it.
void Connection::note(const Reply& reply, const RequestStart& start, const Asked& asked) {
  shard_.meter.answered({.received = start.received_wall,
                         .total = shard_.loop.now() - start.received,
                         .client = client_.stream,
                         .request_id = start.request_id,
                         .method = asked.method,
                         .path = asked.path,
                         .api = asked.api,
                         .status = static_cast<std::uint16_t>(reply.status()),
                         .bytes_out = reply.body_bytes(),
                         .error = asked.error});
}

// The head could not be read: what follows on the connection has no meaning, so it ends.
port::Task<void> Connection::refuse(const Error& error) {
  Reply reply(client_, {1, false});
  RequestStart start;
  start.received = shard_.loop.now();
  start.received_wall = shard_.loop.wall_now();
  start.request_id = mint_request_id(start.received_wall, shard_.rng);
  reply_error(shard_, reply, {std::nullopt, "-", "-", {}}, error, start);
  note(reply, start, {"-", "-", "unknown", error_info(error.code).name});
  if (co_await flush()) co_await linger();
}

// What is still to be written, at the client's pace. False when the client is gone or too slow.
port::Task<bool> Connection::flush() {
  waiter_.total_deadline = kNever;
  waiter_.keepalive_due = kNever;
  waiter_.phase_deadline = kNever;
  waiter_.watch_client = false;
  while (client_.out.blocked()) {
    const Wake woken = co_await waiter_.wait();
    if (woken == Wake::kClientStalled) shard_.meter.client_stalled();
    if (woken != Wake::kProgress) co_return false;
  }
  co_return !client_.out.failed();
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
