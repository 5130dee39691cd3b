// A live session (WebSocket): bytes pass both ways until one side ends. What the slower side has
// not taken is kept up to one read's worth, then nothing more is read from the other. A session
// that the router ends itself is closed with 1001 (going away) on both sides, where no frame is
// half sent.
#include <fmt/format.h>

#include "base/free_text.h"
#include "base/text.h"
#include "data/exchange/attempt.h"
#include "data/exchange/upstream_head.h"
#include "wire/http/websocket.h"

namespace infermesh::data {
namespace {

using Failure = Rare<AttemptFailure>;

constexpr std::uint32_t kPassesAtOnce = 8;  // so that who sends fast leaves the loop to others

class Tunnel {
 public:
  explicit Tunnel(Attempt& attempt)
      : attempt_(attempt), x_(attempt.exchange()), client_(x_.parts.client) {}

  port::Task<Step<Failure>> run() {
    begin();
    port::Loop& loop = x_.parts.shard.loop;
    Instant moved_at = loop.now();
    std::uint32_t passes = 0;
    while (true) {
      const bool out = pass_to_engine();
      const bool in = pass_to_client();
      if (ended()) co_return end();
      if (out || in) {
        moved_at = loop.now();
        if (++passes % kPassesAtOnce == 0) co_await loop.sleep_until(loop.now() + 1ns);
        continue;
      }
      x_.parts.waiter.phase_deadline = moved_at + x_.parts.shard.settings.realtime_idle_timeout;
      const auto woken = co_await x_.wait();
      if (!woken && woken.error().kind == Stop::Kind::kClientGone) co_return end();
      if (!woken) {
        if (woken.error().kind == Stop::Kind::kStopped) say_goodbye("the router stops");
        co_return std::unexpected(woken.error());
      }
      if (*woken == Wake::kPhaseDeadline) co_return idle();
    }
  }

 private:
  enum class Side : std::uint8_t { kOpen, kEnded, kReset };

  void begin() {
    attempt_.note_heard();
    attempt_.note_first_byte();
    Waiter& waiter = x_.parts.waiter;
    waiter.watch_client = false;
    waiter.keepalive_due = kNever;
    waiter.total_deadline = x_.facts.deadline;  // a session has no other
    Reply& reply = x_.parts.reply;
    const http::ResponseHead& head = attempt_.head();
    reply.switch_protocols(http::kWebSocket);
    for (const http::Header& header : head.headers) {
      if (is_response_header_passed(head, header)) reply.header(header.name, header.value);
    }
    x_.stamp_decision_headers();
    const std::string_view early = attempt_.after_head();
    if (early.empty()) return reply.send_head();
    to_client_.pass(early);
    reply.body(early);
  }

  bool pass_to_engine() {
    OutBuffer& out = attempt_.engine_out();
    WatchedStream& engine = attempt_.engine_stream();
    if (out.blocked() && engine.may_write()) out.flush();
    if (out.failed()) engine_ = Side::kReset;
    if (out.blocked() || out.failed() || client_side_ != Side::kOpen) return false;
    if (!client_.input.empty()) {
      send(out, client_.input);
      free_text(client_.input);
      return true;
    }
    std::span<char> scratch = x_.parts.shard.scratch;
    if (!client_.stream.may_read()) return false;
    const port::IoResult got = client_.stream.read(scratch);
    if (got.status == port::IoStatus::kWouldBlock) return false;
    if (got.status == port::IoStatus::kOk) {
      send(out, {scratch.data(), got.bytes});
    } else {
      client_.ended = true;
      client_side_ = Side::kEnded;
    }
    return true;
  }

  void send(OutBuffer& out, std::string_view bytes) {
    out.write(bytes);
    to_engine_.pass(bytes);
    x_.passed_in += bytes.size();
  }

  bool pass_to_client() {
    WatchedStream& engine = attempt_.engine_stream();
    if (client_.out.blocked() || engine_ != Side::kOpen || !engine.may_read()) return false;
    std::span<char> scratch = x_.parts.shard.scratch;
    const port::IoResult got = engine.read(scratch);
    if (got.status == port::IoStatus::kWouldBlock) return false;
    attempt_.note_heard();
    if (got.status == port::IoStatus::kOk) {
      const std::string_view said(scratch.data(), got.bytes);
      to_client_.pass(said);
      x_.parts.reply.body(said);
    } else {
      engine_ = got.status == port::IoStatus::kEnd ? Side::kEnded : Side::kReset;
    }
    return true;
  }

  // What a client said last still reaches its engine.
  bool ended() const {
    if (engine_ != Side::kOpen) return true;
    return client_side_ != Side::kOpen && !attempt_.engine_out().blocked();
  }

  Step<Failure> end() {
    if (engine_ == Side::kReset) {
      auto failure = attempt_.fail_with(OutcomeKind::kTruncated, ErrorCode::kStreamTruncated,
                                        "the engine broke the session off");
      return stop(std::move(failure.error));
    }
    attempt_.end_ok();
    x_.parts.reply.finish();
    return Failure{};
  }

  void say_goodbye(std::string_view why) {
    OutBuffer& out = attempt_.engine_out();
    if (!out.blocked() && !to_engine_.amid()) {
      const auto key = static_cast<std::uint32_t>(x_.parts.shard.rng.next());
      out.write(http::websocket_close(http::kGoingAway, why, key));
    }
    if (!client_.out.blocked() && !to_client_.amid())
      x_.parts.reply.body(http::websocket_close(http::kGoingAway, why));
  }

  Step<Failure> idle() {
    attempt_.end_ok();
    const Duration limit = x_.parts.shard.settings.realtime_idle_timeout;
    say_goodbye(fmt::format("nothing was said for {}", human_duration(limit)));
    return stop({ErrorCode::kSessionIdle,
                 fmt::format("Neither side said anything for {}.", human_duration(limit)),
                 {}});
  }

  Attempt& attempt_;
  Exchange& x_;
  ClientSide& client_;
  http::WebSocketFrames to_engine_, to_client_;
  Side client_side_ = Side::kOpen;
  Side engine_ = Side::kOpen;
};

}  // namespace

port::Task<Step<Failure>> relay_tunnel(Attempt& attempt) {
  if (attempt.exchange().facts.api != Api::kRealtime || !http::accepts_websocket(attempt.head())) {
    co_return attempt.fail_with(OutcomeKind::kBadResponse, ErrorCode::kUpstreamBadResponse,
                                "did not accept the WebSocket as it was asked");
  }
  Tunnel tunnel(attempt);
  co_return co_await tunnel.run();
}

}  // namespace infermesh::data
