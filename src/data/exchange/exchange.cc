#include "data/exchange/exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "base/text.h"
#include "core/health/retry.h"
#include "core/model/api_kind.h"
#include "core/route/pipeline.h"
#include "data/exchange/attempt.h"
#include "data/exchange/errors.h"
#include "wire/openai/error_body.h"

namespace infermesh::data {
namespace {

constexpr std::string_view kPing = ": ping\n\n";
constexpr std::string_view kAnthropicPing = "event: ping\ndata: {\"type\":\"ping\"}\n\n";

RequestBody::Limits body_limits(const config::Settings& settings, Api api) {
  const BodyForm form = body_form(api);
  if (form != BodyForm::kForm && form != BodyForm::kTensor) return {settings.body_bytes_max};
  return {settings.upload_bytes_max, settings.replay_bytes_max};
}

}  // namespace

Exchange::Exchange(ExchangeParts& given)
    : Routing(given.shard, given.waiter, given.start),
      parts(given),
      reader(make_request_reader(given)),
      body(given.head, *reader, body_limits(given.shard.settings, given.api)) {
  facts.api = parts.api;
  last_write_ = parts.start.received;
  Shard& shard = parts.shard;
  if (shard.spans != nullptr)
    trace.emplace(parts.head.headers, shard.settings.trace_sample, shard.rng);
}

port::Task<Step<>> Exchange::prepare() {
  if (auto checked = check_head(); !checked) co_return checked;
  if (auto read = co_await intake(); !read) co_return read;
  co_return resolve();
}

void Exchange::end(const Step<>& served) {
  if (!served) end_with(served.error());
  finish_record();
}

void Exchange::release_request() {
  if (!reader) return;
  body.release();
  reader.reset();
  std::vector<BlockHash>().swap(facts.blocks);
  // The path for engines may be a part of the client's.
  const std::string_view whole = parts.head.path;
  const bool part = std::less_equal<>()(whole.data(), parts.path.data()) &&
                    std::less_equal<>()(parts.path.data(), whole.data() + whole.size());
  const std::size_t at = part ? static_cast<std::size_t>(parts.path.data() - whole.data()) : 0;
  parts.head_holder.forget_headers();
  if (part) parts.path = parts.head.path.substr(at, parts.path.size());
}

void Exchange::refresh_facts() {
  const bool streamed = std::exchange(facts.stream, reader->stream());
  facts.usage_wanted = reader->usage_wanted();
  if (!streamed) await_first_event();
}

void Exchange::await_first_event() {
  const Duration first = parts.shard.settings.sse_keepalive_first;
  if (facts.stream && !is_ollama(facts.api) && first > Duration::zero())
    parts.waiter.keepalive_due = parts.start.received + first;
}

port::Task<Step<>> Exchange::answer() {
  auto tried = co_await try_engines<Attempt>(*this);
  if (!tried) co_return std::unexpected(std::move(tried.error()));
  if (!*tried) co_return Step<>{};
  auto& failure = *tried;
  if (failure->refusal && !in_stream) {
    if (!body.complete()) parts.reply.close_after();
    reply_refusal(*this, *failure->refusal);
    record.error_code = failure->refusal->error.code;
    co_return Step<>{};
  }
  Stop why{Stop::Kind::kError, std::move(failure->error), {}};
  if (failure->refusal) why.said = std::move(failure->refusal->error);
  co_return std::unexpected(std::move(why));
}

port::Task<Step<Wake>> Exchange::wait() {
  while (true) {
    const Wake woken = co_await parts.waiter.wait();
    if (woken == Wake::kProgress || woken == Wake::kPhaseDeadline) co_return woken;
    if (woken != Wake::kKeepalive) co_return std::unexpected(stopped_by(woken));
    send_keepalive();
  }
}

Stop Exchange::stopped_by(Wake woken) const {
  const auto error = [](ErrorCode code, std::string detail) {
    return Stop{Stop::Kind::kError, Error{code, std::move(detail), {}}, {}};
  };
  switch (woken) {
    case Wake::kTotalDeadline:
      return error(ErrorCode::kDeadlineExceeded,
                   fmt::format("The answer was not complete after {}.",
                               human_duration(parts.shard.loop.now() - parts.start.received)));
    case Wake::kClientStalled:
      parts.client.stream.close(port::CloseMode::kReset);
      return error(ErrorCode::kClientTooSlow,
                   fmt::format("The client read nothing for {}.",
                               human_duration(parts.shard.settings.client_stall_timeout)));
    case Wake::kStopped: {
      Stop stopped = error(ErrorCode::kDraining, "This router stops and could not wait longer.");
      stopped.kind = Stop::Kind::kStopped;
      return stopped;
    }
    default:
      return {Stop::Kind::kClientGone, {}, {}};
  }
}

port::Task<Step<>> Exchange::let_client_catch_up() {
  parts.waiter.phase_deadline = kNever;
  while (client_is_behind()) {
    const auto woken = co_await wait();
    if (!woken) co_return std::unexpected(woken.error());
  }
  co_return Step<>{};
}

void Exchange::begin_stream() {
  if (in_stream) return;
  in_stream = true;
  Reply& reply = parts.reply;
  if (!body.complete()) reply.close_after();
  reply.begin(200, std::nullopt);
  reply.header("content-type",
               is_ollama(facts.api) ? "application/x-ndjson" : "text/event-stream; charset=utf-8");
  reply.header("cache-control", "no-cache");
  reply.header("x-accel-buffering", "no");
  stamp_decision_headers();
}

void Exchange::note_client_write() {
  const config::Settings& settings = parts.shard.settings;
  last_write_ = parts.shard.loop.now();
  // A stream of JSON lines has no line that means nothing.
  const bool wanted = settings.sse_keepalive_first > Duration::zero() && !is_ollama(facts.api);
  parts.waiter.keepalive_due = wanted ? last_write_ + settings.sse_keepalive_every : kNever;
}

void Exchange::note_content() {
  const Instant now = parts.shard.loop.now();
  if (first_token_at == kNever) {
    first_token_at = now;
  } else {
    parts.shard.meter.token_gap(*model, now - last_content_);
  }
  last_content_ = now;
}

void Exchange::stamp_decision_headers() {
  if (parts.shard.draining) parts.reply.close_after();
  stamp_request_id(parts.reply, facts.api, parts.start);
  if (!parts.shard.settings.decision_headers || last_engine.empty()) return;
  parts.reply.header("x-infermesh-engine", last_engine);
  parts.reply.header("x-infermesh-attempts", std::to_string(record.attempts.size()));
  parts.reply.header("x-infermesh-reason", last_reason);
}

void Exchange::send_keepalive() {
  const Duration every = parts.shard.settings.sse_keepalive_every;
  const Instant now = parts.shard.loop.now();
  const Instant due = last_write_ + every;
  if (in_stream && due > now) {
    parts.waiter.keepalive_due = due;
    return;
  }
  begin_stream();
  if (!parts.client.out.blocked())
    parts.reply.body(facts.api == Api::kMessages ? kAnthropicPing : kPing);
  note_client_write();
}

void Exchange::end_with(const Stop& why) {
  Reply& reply = parts.reply;
  if (why.kind == Stop::Kind::kClientGone) {
    record.error_code = error_info(ErrorCode::kClientClosed).name;
    parts.shard.meter.cancelled(parts.api);
    return reply.abort();
  }
  const Error& error = *why.error;
  record.error_code = error_info(error.code).name;
  if (error.code == ErrorCode::kClientTooSlow) {
    parts.shard.meter.client_stalled();
    return reply.abort();
  }
  if (in_stream) {
    parts.shard.meter.refused(error.code);
    if (model != nullptr) parts.shard.meter.stream_broken(*model, error.code);
    const std::string frame =
        why.said
            ? openai::error_event(facts.api, *why.said, parts.start.request_id,
                                  next_sequence_number)
            : openai::error_event(facts.api, error, parts.start.request_id, next_sequence_number);
    reply.body(frame);
    return reply.abort();
  }
  if (reply.head_sent()) return reply.abort();
  if (!body.complete()) reply.close_after();
  reply_own_error(*this, error);
}

RequestSummary Exchange::summary() const {
  return {.record = record,
          .client = parts.client.stream,
          .model = model,
          .api = facts.api,
          .stream = facts.stream,
          .method = parts.head.method,
          .path = parts.head.path,
          .model_name = facts.model,
          .engine = last_engine,
          .reason = last_reason,
          .bytes_in = body.received() + passed_in,
          .bytes_out = parts.reply.body_bytes(),
          .intake_time = intake_time,
          .prompt_tokens = prompt_tokens,
          .cached_tokens = cached_tokens,
          .output_tokens = output_tokens,
          .predicted_cached = predicted_cached};
}

void Exchange::finish_record() {
  const Instant now = parts.shard.loop.exact_now();
  record.status = static_cast<std::uint16_t>(parts.reply.status());
  if (record.error_code == error_info(ErrorCode::kClientClosed).name) record.status = 499;
  record.total = now - parts.start.received;
  if (first_token_at != kNever) record.ttft = first_token_at - parts.start.received;
  record.finished = true;
  parts.shard.meter.finished(summary(), now);
  if (trace && trace->recorded()) parts.shard.spans->put(trace->span(*this, now));
  parts.shard.decisions.put(std::move(record));
}

// What waits for the whole answer is this frame and answer()'s alone.
port::Task<void> run_exchange(ExchangeParts parts) {
  Exchange exchange(parts);
  Step<> served = co_await exchange.prepare();
  if (served) served = co_await exchange.answer();
  exchange.end(served);
}

}  // namespace infermesh::data
