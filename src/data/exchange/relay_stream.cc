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

using Failure = std::optional<AttemptFailure>;
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
                                                       : openai::UsageEvents::kStrip) {}

  // The batch is empty whenever another may use it: before every wait.
  port::Task<Step<Failure>> run() {
    batch_.clear();
    while (true) {
      const AnswerReader::Piece piece = attempt_.answer().next(x_.parts.shard.scratch);
      switch (piece.state) {
        case AnswerReader::State::kPayload: {
          attempt_.note_heard();
          if (auto trouble = take(piece.payload)) co_return give_up(std::move(*trouble));
          if (inspector_.ended()) {
            whole_ = true;
            send();
            co_return co_await end();
          }
          if (batch_.size() >= kTogetherMax) send();
          if (batch_.empty() && x_.client_is_behind()) {
            attempt_.answer().keep();
            if (auto caught = co_await x_.let_client_catch_up(); !caught) {
              note_usage();
              co_return std::unexpected(caught.error());
            }
          }
          break;
        }
        case AnswerReader::State::kNothing: {
          send();
          attempt_.answer().keep();
          if (x_.client_is_behind()) {
            if (auto caught = co_await x_.let_client_catch_up(); !caught) {
              note_usage();
              co_return std::unexpected(caught.error());
            }
            break;
          }
          const auto woken = co_await await_more();
          if (!woken) {
            note_usage();  // what a cancelled request has cost so far
            co_return std::unexpected(woken.error());
          }
          if (*woken == Wake::kPhaseDeadline) {
            co_return give_up(
                {OutcomeKind::kTimeout, ErrorCode::kStreamStalled,
                 fmt::format("sent nothing for {}", human_duration(attempt_.between_bytes()))});
          }
          break;
        }
        case AnswerReader::State::kEnd:
          if (inspector_.ends_with_body()) {
            finish();
            co_return Failure{};
          }
          [[fallthrough]];
        case AnswerReader::State::kTruncated:
          co_return give_up({OutcomeKind::kTruncated, ErrorCode::kStreamTruncated,
                             "the stream ended without its last event"});
        case AnswerReader::State::kMalformed:
          co_return give_up(
              {OutcomeKind::kBadResponse, ErrorCode::kUpstreamBadResponse, "sent malformed HTTP"});
      }
    }
  }

 private:
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
    sent_ = true;
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

  port::Task<Step<Wake>> await_more() {
    x_.parts.waiter.phase_deadline = attempt_.silence_deadline();
    return x_.wait();
  }

  // The stream is complete. Its body's end usually came along, or is about to: then the connection
  // can be kept.
  port::Task<Step<Failure>> end() {
    note_usage();
    if (inspector_.failed()) {  // response.failed: a whole stream, of an answer that is none
      attempt_.fail_with(OutcomeKind::kEngineError, ErrorCode::kUpstreamError, "the answer failed");
      x_.record.error_code = error_info(ErrorCode::kUpstreamError).name;
    } else {
      attempt_.end_ok();
    }
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
    co_return Failure{};
  }

  // The body has ended where the stream may.
  void finish() {
    send();
    note_usage();
    attempt_.end_ok();
    attempt_.note_first_byte();
    x_.begin_stream();
    x_.parts.reply.finish();
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
  Step<Failure> give_up(RelayFault trouble) {
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
    if (!sent_) return Failure(std::move(failure));
    x_.next_sequence_number = inspector_.next_sequence_number();
    Stop why{Stop::Kind::kError, std::move(failure.error)};
    why.said = said;
    return std::unexpected(std::move(why));
  }

  Attempt& attempt_;
  Exchange& x_;
  std::string& batch_;  // what goes to the client with the next write
  bool by_lines_ = is_ollama(x_.facts.api);
  http::SseSplitter events_;
  http::LineSplitter lines_;
  openai::StreamInspector inspector_;
  bool sent_ = false;   // an event has gone to the client
  bool whole_ = false;  // the batch ends with the stream's last event
};

}  // namespace

port::Task<Step<Failure>> relay_stream(Attempt& attempt) {
  StreamRelay relay(attempt);
  co_return co_await relay.run();
}

}  // namespace infermesh::data
