// Event streams and Ollama's streams of JSON lines: every event is looked at, most are passed on as
// they are. What has come together leaves together, in one write, and nothing is waited for. A
// stream that breaks off, carries a bad frame or an error never ends cleanly towards the client.
#include <fmt/format.h>

#include "data/exchange/attempt.h"
#include "wire/http/json_lines.h"
#include "wire/http/sse.h"
#include "wire/openai/stream_inspector.h"

namespace infermesh::data {
namespace {

using Failure = Rare<AttemptFailure>;
using openai::StreamAction;

constexpr std::size_t kTogetherMax = 64 << 10;  // bytes of events in one write, and one event more
constexpr Duration kTailPatience =
    50ms;  // after the last event: for the end of the body, to keep the connection

class StreamRelay {
 public:
  explicit StreamRelay(Attempt& attempt)
      : attempt_(attempt),
        x_(attempt.exchange()),
        batch_(x_.parts.shard.batch),
        inspector_(x_.facts.api, x_.facts.usage_wanted ? openai::UsageEvents::kKeep
                                                       : openai::UsageEvents::kStrip) {
    batch_.clear();
  }

  enum class Next : std::uint8_t {
    kGoOn,
    kWait,     // for more of the answer
    kCatchUp,  // the client is behind
    kTail,     // the stream is complete, its body perhaps not yet
    kEnd,      // see result()
  };
  // Looks at the next piece of the answer. The batch is empty whenever another may use it: before
  // every wait.
  Next step() {
    const AnswerReader::Piece piece = attempt_.answer().next(x_.parts.shard.scratch);
    switch (piece.state) {
      case AnswerReader::State::kPayload:
        return on_payload(piece.payload);
      case AnswerReader::State::kNothing:
        send();
        attempt_.answer().keep();
        return x_.client_is_behind() ? Next::kCatchUp : Next::kWait;
      case AnswerReader::State::kEnd:
        if (inspector_.ends_with_body()) return finish();
        [[fallthrough]];
      case AnswerReader::State::kTruncated:
        return give_up({OutcomeKind::kTruncated, ErrorCode::kStreamTruncated,
                        "the stream ended without its last event"});
      case AnswerReader::State::kMalformed:
        break;
    }
    return give_up(
        {OutcomeKind::kBadResponse, ErrorCode::kUpstreamBadResponse, "sent malformed HTTP"});
  }

  port::Task<Step<Wake>> await_more() {
    x_.parts.waiter.phase_deadline = attempt_.silence_deadline();
    return x_.wait();
  }

  Next stalled() {
    return give_up({OutcomeKind::kTimeout, ErrorCode::kStreamStalled,
                    fmt::format("sent nothing for {}", human_duration(attempt_.between_bytes()))});
  }

  // The wait for more has ended the exchange: what it has cost so far is noted.
  Step<Failure> stopped(const Stop& why) {
    note_usage();
    return std::unexpected(why);
  }

  // The end of a complete stream's body usually came along, or is about to: then the connection can
  // be kept.
  port::Task<void> read_tail() {
    x_.parts.waiter.keepalive_due = kNever;
    x_.parts.waiter.phase_deadline = x_.parts.shard.loop.now() + kTailPatience;
    while (true) {
      const AnswerReader::Piece piece = attempt_.answer().next(x_.parts.shard.scratch);
      if (piece.state == AnswerReader::State::kPayload) continue;
      if (piece.state != AnswerReader::State::kNothing) break;
      attempt_.answer().keep();
      const auto woken = co_await x_.wait();
      if (!woken || *woken == Wake::kPhaseDeadline) break;
    }
  }

  Step<Failure> result() { return std::move(result_); }

 private:
  Next on_payload(std::string_view payload) {
    attempt_.note_heard();
    if (auto trouble = take(payload)) return give_up(std::move(*trouble));
    if (inspector_.ended()) return end();
    if (batch_.size() >= kTogetherMax) send();
    if (!batch_.empty() || !x_.client_is_behind()) return Next::kGoOn;
    attempt_.answer().keep();
    return Next::kCatchUp;
  }

  // Looks at the events that these bytes complete and puts what is to be sent on into the batch.
  std::optional<RelayFault> take(std::string_view payload) {
    push(payload);
    while (!inspector_.ended()) {
      const auto event = next();
      if (!event) {
        return RelayFault{OutcomeKind::kBadResponse, ErrorCode::kUpstreamBadResponse,
                          event.error().detail};
      }
      if (!*event) break;
      if (auto trouble = judge(**event)) return trouble;
    }
    return std::nullopt;
  }

  void send() {
    if (batch_.empty()) return;
    x_.begin_stream();
    if (whole_) {
      x_.parts.reply.finish(batch_);
    } else {
      x_.parts.reply.body(batch_);
    }
    batch_.clear();
    if (!std::exchange(sent_, true)) attempt_.release_request();
    x_.note_client_write();
  }

  void push(std::string_view payload) {
    if (by_lines_) return lines_.push(payload);
    events_.push(payload);
  }

  // A line is an event that has only data.
  Result<std::optional<http::SseEvent>> next() {
    if (!by_lines_) return events_.next();
    const auto line = lines_.next();
    if (!line) return std::unexpected(line.error());
    if (!*line) return std::nullopt;
    http::SseEvent event;
    event.raw = (*line)->raw;
    event.data = (*line)->text;
    event.has_data = true;
    return event;
  }

  std::optional<RelayFault> judge(const http::SseEvent& event) {
    // An engine's own keep-alives prove that its connection lives, no more; the client gets ours.
    if (event.is_comment_only || !event.has_data) return std::nullopt;
    attempt_.note_first_byte();
    const openai::StreamVerdict verdict = inspector_.on_event(event.event, event.data);
    if (verdict.content) x_.note_content();
    if (!inspector_.response_id().empty()) attempt_.note_response(inspector_.response_id());
    switch (verdict.action) {
      case StreamAction::kRelay:
      case StreamAction::kEnd:
        append(event);
        return std::nullopt;
      case StreamAction::kDrop:
        return std::nullopt;
      case StreamAction::kError:
        return RelayFault{OutcomeKind::kTruncated, ErrorCode::kUpstreamError,
                          inspector_.error() ? inspector_.error()->message : "sent an error"};
      case StreamAction::kBad:
        return RelayFault{OutcomeKind::kBadResponse, ErrorCode::kUpstreamBadResponse,
                          "sent an event that is not JSON"};
    }
    return std::nullopt;
  }

  void append(const http::SseEvent& event) {
    std::string named;
    std::string_view raw = event.raw;
    const auto name = attempt_.name_to_restore();
    if (name && !inspector_.models().empty()) {
      named = openai::with_model(event.data, inspector_.models(), *name);
      if (by_lines_) {
        named += '\n';
      } else {
        named = fmt::format("{}{}{}data: {}\n\n", event.event.empty() ? "" : "event: ", event.event,
                            event.event.empty() ? "" : "\n", named);
      }
      raw = named;
    }
    if (event.has_id_or_retry) {
      http::append_without_id_and_retry(batch_, raw);
    } else {
      batch_.append(raw);
    }
  }

  // The stream is complete.
  Next end() {
    whole_ = true;
    send();
    note_usage();
    if (inspector_.failed()) {  // response.failed: a whole stream, of an answer that is none
      attempt_.fail_with(OutcomeKind::kEngineError, ErrorCode::kUpstreamError, "the answer failed");
      x_.record.error_code = error_info(ErrorCode::kUpstreamError).name;
    } else {
      attempt_.end_ok();
    }
    return Next::kTail;
  }

  // The body has ended where the stream may.
  Next finish() {
    send();
    note_usage();
    attempt_.end_ok();
    attempt_.note_first_byte();
    x_.begin_stream();
    x_.parts.reply.finish();
    return Next::kEnd;
  }

  void note_usage() {
    if (x_.facts.api == Api::kStoredResponse) return;  // it was counted when it was made
    const openai::Usage usage = inspector_.usage();
    if (usage.prompt) x_.prompt_tokens = usage.prompt;
    if (usage.cached) x_.cached_tokens = usage.cached;
    x_.output_tokens = inspector_.output_tokens();
  }

  // Before the first event another engine may be tried, or the client gets a plain error; after it,
  // an error in-band.
  Next give_up(RelayFault trouble) {
    send();
    note_usage();
    const auto& said = inspector_.error();
    const bool theirs = said && said->status >= 400 && said->status < 500 && said->status != 429;
    if (theirs) trouble.kind = OutcomeKind::kClientError;
    // Nothing has been shown to the client: for it, and for a retry, this is an answer that never
    // began.
    if (!sent_ && !said && trouble.kind == OutcomeKind::kTruncated) {
      trouble = {OutcomeKind::kReset, ErrorCode::kUpstreamReset,
                 "the stream ended before its first event"};
    }
    auto failure = attempt_.fail_with(trouble.kind, trouble.code, trouble.text);
    if (said) failure.refusal = UpstreamRefusal{*said, {}, {}, {}};
    if (!sent_) {
      result_ = Failure(std::move(failure));
      return Next::kEnd;
    }
    x_.next_sequence_number = inspector_.next_sequence_number();
    result_ = std::unexpected(Stop{Stop::Kind::kError, std::move(failure.error), said});
    return Next::kEnd;
  }

  Attempt& attempt_;
  Exchange& x_;
  std::string& batch_;  // what goes to the client with the next write
  bool by_lines_ = is_ollama(x_.facts.api);
  http::SseSplitter events_;
  http::LineSplitter lines_;
  openai::StreamInspector inspector_;
  Step<Failure> result_;
  bool sent_ = false;   // an event has gone to the client
  bool whole_ = false;  // the batch ends with the stream's last event
};

}  // namespace

port::Task<Step<Failure>> relay_stream(Attempt& attempt) {
  StreamRelay relay(attempt);
  while (true) {
    switch (relay.step()) {
      case StreamRelay::Next::kGoOn:
        break;
      case StreamRelay::Next::kCatchUp: {
        const auto caught = co_await attempt.exchange().let_client_catch_up();
        if (!caught) co_return relay.stopped(caught.error());
        break;
      }
      case StreamRelay::Next::kWait: {
        const auto woken = co_await relay.await_more();
        if (!woken) co_return relay.stopped(woken.error());
        if (*woken != Wake::kPhaseDeadline) break;
        relay.stalled();
        co_return relay.result();
      }
      case StreamRelay::Next::kTail:
        co_await relay.read_tail();
        co_return relay.result();
      case StreamRelay::Next::kEnd:
        co_return relay.result();
    }
  }
}

}  // namespace infermesh::data
