// Answers that are not event streams: relayed as they come, read on the way for usage; and what
// engines say when they refuse.
#include <fmt/format.h>

#include "base/text.h"
#include "core/model/api_kind.h"
#include "data/exchange/attempt.h"
#include "data/exchange/upstream_head.h"
#include "wire/openai/answer.h"

namespace infermesh::data {
namespace {

using Failure = Rare<AttemptFailure>;

constexpr std::size_t kRefusalBytesMax = 64 << 10;

// Waits for more of the answer; a failure text when it stays away.
port::Task<Step<std::optional<std::string>>> await_more(Attempt& attempt) {
  Exchange& x = attempt.exchange();
  attempt.answer().keep();
  x.parts.waiter.phase_deadline = attempt.silence_deadline();
  const auto woken = co_await x.wait();
  if (!woken) co_return std::unexpected(woken.error());
  if (*woken != Wake::kPhaseDeadline) co_return std::nullopt;
  co_return fmt::format("nothing came for {}", human_duration(attempt.between_bytes()));
}

// Tensors tell nothing of tokens; sound and pictures are no JSON.
bool reads(const Attempt& attempt) {
  const Api api = attempt.exchange().facts.api;
  if (is_tensor(api)) return false;
  const auto type = http::find(attempt.head().headers, "content-type").value_or("");
  return !is_media(api) || lower(type).starts_with("application/json");
}

void begin_reply(Attempt& attempt) {
  Exchange& x = attempt.exchange();
  const http::ResponseHead& head = attempt.head();
  x.parts.waiter.keepalive_due = kNever;  // an answer that is no stream cannot carry keep-alives
  std::optional<std::uint64_t> length;
  if (head.framing == http::BodyFraming::kNone) length = 0;
  const bool renamed = attempt.name_to_restore() && reads(attempt);
  if (head.framing == http::BodyFraming::kLength && !renamed) length = head.content_length;
  x.parts.reply.begin(head.status, length);
  for (const http::Header& header : head.headers) {
    if (is_response_header_passed(head, header)) x.parts.reply.header(header.name, header.value);
  }
  x.stamp_decision_headers();
}

void take_usage(Exchange& x, const openai::Usage& usage) {
  if (x.facts.api == Api::kStoredResponse) return;  // it was counted when it was made
  if (usage.prompt) x.prompt_tokens = usage.prompt;
  if (usage.cached) x.cached_tokens = usage.cached;
  if (usage.output) x.output_tokens = usage.output;
}

// The client was promised a stream by a keep-alive, and the engine answers with something else.
AttemptFailure no_stream(Attempt& attempt) {
  return attempt.fail_with(OutcomeKind::kBadResponse, ErrorCode::kUpstreamBadResponse,
                           "answered without a stream where one was asked for");
}

// One answer on its way through.
class PlainRelay {
 public:
  explicit PlainRelay(Attempt& attempt)
      : attempt_(attempt), x_(attempt.exchange()), reader_(x_.facts.api), read_(reads(attempt)) {
    if (const auto name = attempt.name_to_restore(); name && read_) {
      renamer_.emplace(reader_, openai::SplicePlan{.model = std::string(*name), .usage = false});
    }
  }

  port::Task<Step<Failure>> run() {
    while (true) {
      const AnswerReader::Piece piece = attempt_.answer().next(x_.parts.shard.scratch);
      switch (piece.state) {
        case AnswerReader::State::kPayload:
          attempt_.note_heard();
          pass_on(piece.payload);
          if (x_.client_is_behind()) {
            attempt_.answer().keep();
            if (auto caught = co_await x_.let_client_catch_up(); !caught) {
              co_return std::unexpected(caught.error());
            }
          }
          break;
        case AnswerReader::State::kEnd:
          end();
          co_return Failure{};
        case AnswerReader::State::kNothing: {
          auto waited = co_await await_more(attempt_);
          if (!waited) co_return std::unexpected(waited.error());
          if (*waited)
            co_return give_up(
                {OutcomeKind::kTimeout, ErrorCode::kStreamStalled, std::move(**waited)});
          break;
        }
        case AnswerReader::State::kTruncated:
          co_return give_up(truncated());
        case AnswerReader::State::kMalformed:
          co_return give_up(
              {OutcomeKind::kBadResponse, ErrorCode::kUpstreamBadResponse, "sent malformed HTTP"});
      }
    }
  }

 private:
  void pass_on(std::string_view payload) {
    attempt_.note_first_byte();
    if (!x_.parts.reply.begun()) begin_reply(attempt_);
    if (read_) reader_.feed(payload);
    if (renamer_) {
      std::vector<std::string_view> pieces;
      renamer_->push(payload, pieces);
      x_.parts.reply.body(pieces);
    } else {
      x_.parts.reply.body(payload);
    }
    attempt_.release_request();
  }

  void end() {
    attempt_.note_first_byte();
    if (!x_.parts.reply.begun()) begin_reply(attempt_);
    if (renamer_) {
      std::vector<std::string_view> pieces;
      renamer_->push({}, pieces);
      x_.parts.reply.body(pieces);
    }
    take_usage(x_, reader_.usage());
    if (!reader_.response_id().empty()) attempt_.note_response(reader_.response_id());
    attempt_.end_ok();
    x_.parts.reply.finish();
  }

  RelayFault truncated() const {
    const bool begun = x_.parts.reply.head_sent();
    return {begun ? OutcomeKind::kTruncated : OutcomeKind::kReset,
            begun ? ErrorCode::kStreamTruncated : ErrorCode::kUpstreamReset,
            "the connection ended before the answer did"};
  }

  // Before the first byte another engine may be tried; after it the answer can only be broken off.
  Step<Failure> give_up(RelayFault trouble) {
    auto failure = attempt_.fail_with(trouble.kind, trouble.code, std::move(trouble.text));
    if (x_.parts.reply.head_sent()) return stop(std::move(failure.error));
    return Failure(std::move(failure));
  }

  Attempt& attempt_;
  Exchange& x_;
  openai::ResponseReader reader_;
  bool read_;  // the answer is looked into
  std::optional<openai::BodySplicer> renamer_;
};

}  // namespace

port::Task<Step<Failure>> relay_plain(Attempt& attempt) {
  Exchange& x = attempt.exchange();
  const std::string type =
      lower(http::find(attempt.head().headers, http::HeaderName::kContentType).value_or(""));
  if (x.in_stream) co_return no_stream(attempt);
  // TorchServe and small servers leave the type out; anything else that is named is not what was
  // asked for, unless it is sound, a picture or tensors.
  const bool any = is_media(x.facts.api) || is_tensor(x.facts.api);
  if (!any && !type.empty() && !type.starts_with("application/json")) {
    co_return attempt.fail_with(OutcomeKind::kBadResponse, ErrorCode::kUpstreamBadResponse,
                                fmt::format("answered with {} instead of JSON", type));
  }
  x.parts.waiter.keepalive_due = kNever;
  PlainRelay relay(attempt);
  co_return co_await relay.run();
}

port::Task<Step<Failure>> read_refusal(Attempt& attempt) {
  Exchange& x = attempt.exchange();
  const http::ResponseHead& head = attempt.head();
  std::string text;
  while (text.size() < kRefusalBytesMax) {
    const AnswerReader::Piece piece = attempt.answer().next(x.parts.shard.scratch);
    if (piece.state == AnswerReader::State::kPayload) {
      attempt.note_heard();
      text.append(piece.payload.substr(0, kRefusalBytesMax - text.size()));
    } else if (piece.state == AnswerReader::State::kNothing) {
      auto waited = co_await await_more(attempt);
      if (!waited) co_return std::unexpected(waited.error());
      if (*waited) break;
    } else {
      break;  // whole or not: the status says enough
    }
  }
  UpstreamRefusal refusal;
  refusal.error = openai::normalize_upstream_error(
      x.facts.api, static_cast<std::uint16_t>(head.status),
      http::find(head.headers, http::HeaderName::kContentType).value_or(""), text);
  refusal.retry_after = http::find(head.headers, "retry-after").value_or("");
  refusal.retry_after_ms = http::find(head.headers, "retry-after-ms").value_or("");
  refusal.should_retry = http::find(head.headers, "x-should-retry").value_or("");
  const OutcomeKind kind = head.status == 429 || head.status == 503 ? OutcomeKind::kOverloaded
                           : head.status >= 500                     ? OutcomeKind::kEngineError
                                                                    : OutcomeKind::kClientError;
  attempt.note_retry_after(refusal.retry_after, refusal.retry_after_ms);
  auto failure = attempt.fail_with(kind, ErrorCode::kUpstreamError,
                                   fmt::format("{} {}", head.status, refusal.error.message));
  failure.refusal = std::move(refusal);
  co_return failure;
}

}  // namespace infermesh::data
