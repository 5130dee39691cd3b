#include "data/exchange/attempt.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/free_text.h"
#include "base/text.h"
#include "core/model/api_kind.h"
#include "data/exchange/upstream_head.h"
#include "wire/engine/orca.h"
#include "wire/http/percent.h"
#include "wire/http/websocket.h"
#include "wire/http/write.h"
#include "wire/kserve/path.h"
#include "wire/openai/facts_options.h"

namespace infermesh::data {
namespace {

constexpr std::size_t kSendAtOnce = 128 << 10;  // of the body between looks at the other side
constexpr std::uint32_t kPassesAtOnce = 8;

port::Task<Step<Rare<AttemptFailure>>> failed(AttemptFailure failure) {
  co_return std::move(failure);
}

}  // namespace

Attempt::Attempt(Exchange& exchange, Decision decision, std::uint32_t number)
    : exchange_(exchange),
      decision_(std::move(decision)),
      view_(exchange.view),
      endpoint_(*view_->endpoint(*decision_.endpoint)),
      number_(number) {
  exchange_.last_engine = endpoint_.name;
  exchange_.predicted_cached = decision_.cached_tokens;
  outcome_.endpoint = endpoint_.id;
  outcome_.model = exchange.model->id;
  outcome_.trial = decision_.trial;
  outcome_.kind = OutcomeKind::kCancelled;  // until something else is known
  outcome_.uncached_prompt_tokens = decision_.uncached_tokens;
  AttemptRecord& attempt = exchange_.record.attempts.emplace_back();
  attempt.endpoint = endpoint_.id;
  attempt.engine = endpoint_.name;
  exchange_.note_names(decision_);
}

Attempt::~Attempt() {
  settle();
}

std::optional<std::string_view> Attempt::name_to_restore() const {
  if (is_tensor(exchange_.facts.api)) return std::nullopt;  // tensors are not read
  if (exchange_.model->served_name == exchange_.facts.model) return std::nullopt;
  if (exchange_.facts.api == Api::kStoredResponse) return std::nullopt;  // nobody named a model
  return exchange_.facts.model;
}

AttemptFailure Attempt::fail_with(OutcomeKind kind, ErrorCode code, std::string detail) {
  outcome_.kind = kind;
  error_ = detail;
  return {{code, fmt::format("{}: {}", endpoint_.name, detail), {}}, std::nullopt};
}

void Attempt::note_retry_after(std::string_view seconds, std::string_view milliseconds) {
  if (const auto number = parse_u64(trim(milliseconds)); number && *number < 3'600'000) {
    outcome_.retry_after = 1ms * static_cast<std::int64_t>(*number);
  } else if (const auto whole = parse_u64(trim(seconds)); whole && *whole < 3600) {
    outcome_.retry_after = 1s * static_cast<std::int64_t>(*whole);
  }
}

void Attempt::note_response(std::string_view id) {
  if (std::exchange(response_noted_, true)) return;
  exchange_.parts.shard.homes.note(openai::session_key(id), endpoint_.id);
}

Duration Attempt::first_byte_timeout() const {
  const PoolObject& spec = exchange_.pool->spec;
  return is_media(exchange_.facts.api) ? spec.media_first_byte_timeout : spec.first_byte_timeout;
}

void Attempt::release_request() {
  splicer_.reset();
  exchange_.release_request();
  head_parser_.reset();
  free_text(answer_text_);
}

void Attempt::note_heard() {
  heard_at_ = exchange_.parts.shard.loop.now();
}

Instant Attempt::silence_deadline() const {
  return heard_at_ + between_bytes();
}

void Attempt::note_first_byte() {
  if (outcome_.first_byte >= Duration::zero()) return;
  const Instant now = exchange_.parts.shard.loop.now();
  outcome_.first_byte = now - outcome_.sent_at;
  in_flight_.first_byte(now);
}

port::Task<Step<Rare<AttemptFailure>>> Attempt::run() {
  Shard& shard = exchange_.parts.shard;
  outcome_.sent_at = shard.loop.exact_now();  // deciding was ours
  in_flight_ = route::InFlight::sent(shard.loads, &shard.prefixes, decision_, exchange_.facts,
                                     outcome_.sent_at);
  // An upload that cannot be sent again is not risked on a connection that may be about to end.
  if (!exchange_.body.may_outgrow()) connection_ = shard.upstream.take(endpoint_);
  while (true) {
    const bool reused = connection_ != nullptr;
    if (!reused) {
      auto connected = co_await connect();
      if (!connected || *connected) co_return connected;
    }
    auto spoken = co_await converse();
    if (!spoken) co_return std::unexpected(spoken.error());
    // An engine may close a kept-alive connection just as a request is sent on it: that says
    // nothing about its health.
    const bool stale = reused && !heard_ && *spoken && outcome_.kind == OutcomeKind::kReset;
    if (stale) {
      connection_.reset();
      continue;
    }
    if (*spoken) co_return spoken;
    break;
  }
  begin_relay();
  auto ended = co_await relay();
  if (ended && !*ended && outcome_.kind == OutcomeKind::kOk) keep_connection();
  co_return ended;
}

port::Task<Step<Rare<AttemptFailure>>> Attempt::connect() {
  Shard& shard = exchange_.parts.shard;
  Waiter& waiter = exchange_.parts.waiter;
  const Instant deadline =
      std::min(shard.loop.now() + exchange_.pool->spec.connect_timeout, waiter.total_deadline);
  Dial dial = shard.upstream.dial(endpoint_, deadline, waiter.wake);
  waiter.phase_deadline = kNever;  // the dial has its own
  waiter.watch_client = exchange_.body.complete();
  while (!dial.ended()) {
    const auto woken = co_await exchange_.wait();
    if (!woken) co_return std::unexpected(woken.error());
  }
  auto connected = dial.take();
  if (!connected) {
    co_return fail_with(OutcomeKind::kConnectFailed, ErrorCode::kUpstreamConnectFailed,
                        connected.error().detail);
  }
  connection_ = std::move(*connected);
  shard.meter.upstream_connected();
  co_return Failure{};
}

void Attempt::compose_head() {
  const bool form = body_form(exchange_.facts.api) == BodyForm::kForm;
  const bool rename = name_to_restore() || (form && exchange_.model_guessed);
  const openai::SplicePlan plan{
      .model = rename ? std::optional(exchange_.model->served_name) : std::nullopt,
      .usage = exchange_.parts.shard.settings.usage_ask &&
               (exchange_.facts.api == Api::kChat || exchange_.facts.api == Api::kCompletions),
      .model_text = form ? openai::ModelText::kPlain : openai::ModelText::kJson};
  splicer_ = std::make_unique<openai::BodySplicer>(*exchange_.reader, plan);
  const RequestBody& body = exchange_.body;
  std::optional<std::uint64_t> length;
  if (body.complete()) {
    if (const auto change = splicer_->length_change()) {
      length = body.received() + static_cast<std::uint64_t>(*change);
    }
  } else if (plan.changes_nothing() && body.announced() > 0) {
    length = body.announced();
  }
  chunked_ = !length;
  UpstreamHead head;
  std::string own_path;
  head.path = path_at(endpoint_, exchange_.parts.path, own_path);
  std::string renamed;
  if (is_tensor(exchange_.facts.api) && exchange_.model->served_name != exchange_.facts.model) {
    renamed = kserve::with_model(head.path, exchange_.model->served_name);
    head.path = renamed;
  }
  head.query = exchange_.parts.head.query;
  if (exchange_.facts.api == Api::kRealtime) {
    head.upgrade = http::kWebSocket;
    if (name_to_restore()) {
      renamed = http::with_query_value(head.query, "model", exchange_.model->served_name);
      head.query = renamed;
    }
  }
  head.authority = endpoint_.authority;
  head.api_key = endpoint_.api_key;
  const std::string id = exchange_.parts.start.request_id + "." + std::to_string(number_);
  head.request_id = id;
  std::string traceparent;
  if (exchange_.trace) traceparent = exchange_.trace->traceparent();
  head.traceparent = traceparent;
  head.content_length = length;
  if (endpoint_.runtime == Runtime::kVllm) head.load_format = engines::kOrcaRequestValue;
  head_text_ = make_upstream_head(exchange_.parts.head, head);
}

port::Task<Step<Rare<AttemptFailure>>> Attempt::converse() {
  Exchange& x = exchange_;
  connection_->stream.attach(&x.parts.waiter.wake);
  out_ = std::make_unique<OutBuffer>(connection_->stream);
  compose_head();
  pushed_ = 0;
  sent_all_ = false;
  heard_ = false;
  answer_text_.clear();
  const bool live = x.facts.api == Api::kRealtime;
  head_parser_ = std::make_unique<http::ResponseHeadParser>(live ? http::ResponseTo::kUpgrade
                                                                 : http::ResponseTo::kOther);
  co_return co_await await_head();
}

// Sends what there is of the request and the engine takes.
Step<Rare<AttemptFailure>> Attempt::send_some() {
  RequestBody& body = exchange_.body;
  // A slow engine slows the client: what it has not taken yet is not added to without bound.
  if (!body.complete() && body.received() - pushed_ < kSendAtOnce && !out_->blocked()) {
    const auto pumped =
        body.pump(exchange_.parts.client, exchange_.parts.shard.scratch, kSendAtOnce);
    if (!pumped) return stop(pumped.error());
    if (*pumped == RequestBody::Step::kClientGone) return client_left();
    if (exchange_.names_another_model()) {
      return stop({ErrorCode::kInvalidField, "The body names two different models.", "model"});
    }
  }
  if (out_->blocked() && connection_->stream.may_write()) out_->flush();
  while (!sent_all_ && !out_->blocked() && !out_->failed()) {
    const std::string_view more = body.from(pushed_).substr(0, kSendAtOnce);
    pushed_ += more.size();
    std::vector<std::string_view> pieces;
    pieces.reserve(8);
    const bool last = body.complete() && pushed_ == body.received();
    splicer_->push(more, pieces);
    std::size_t size = 0;
    for (const std::string_view piece : pieces) size += piece.size();
    std::string chunk_head;
    if (chunked_ && size > 0) {
      http::append_chunk_head(chunk_head, size);
      pieces.insert(pieces.begin(), chunk_head);
      pieces.push_back(http::kChunkEnd);
    }
    if (chunked_ && last) pieces.push_back(http::kLastChunk);
    if (!head_text_.empty()) pieces.insert(pieces.begin(), head_text_);
    out_->write(pieces);
    free_text(head_text_);
    body.sent(pushed_);
    sent_all_ = last;
    if (!last && pushed_ == body.received()) break;  // the rest has not come yet
  }
  return Failure{};
}

port::Task<Step<Rare<AttemptFailure>>> Attempt::await_head() {
  Exchange& x = exchange_;
  Waiter& waiter = x.parts.waiter;
  port::Loop& loop = x.parts.shard.loop;
  waiter.phase_deadline = loop.now() + first_byte_timeout();
  bool watching = false;
  std::uint32_t passes = 0;
  while (true) {
    const bool had_all = x.body.complete();
    const std::uint64_t had = x.body.received();
    auto sent = send_some();
    if (!sent || *sent) co_return sent;
    if (!x.body.complete()) {
      if (!watching || x.body.received() > had) {
        waiter.phase_deadline = loop.now() + x.parts.shard.settings.client_body_timeout;
      }
    } else if (!had_all) {
      x.refresh_facts();
      waiter.phase_deadline = loop.now() + first_byte_timeout();
    }
    waiter.watch_client = x.body.complete();
    if (!std::exchange(watching, true))
      connection_->stream.expect_read();  // not yet: it has just been asked
    if (connection_->stream.may_read()) {
      const port::IoResult got = connection_->stream.read(x.parts.shard.scratch);
      if (got.status == port::IoStatus::kOk) {
        heard_ = true;
        answer_text_.append(x.parts.shard.scratch.data(), got.bytes);
        if (auto failure = read_answer_head()) co_return std::move(failure);
        if (answer_) {
          note_heard();
          co_return Failure{};
        }
        continue;
      }
      if (got.status != port::IoStatus::kWouldBlock) {
        co_return fail_with(OutcomeKind::kReset, ErrorCode::kUpstreamReset,
                            "the connection was closed before an answer");
      }
    }
    const bool sendable = !out_->blocked() && !out_->failed();
    if (sendable && x.body.more_at_hand(x.parts.client)) {
      // Who sends fast must not keep the loop to itself.
      if (++passes % kPassesAtOnce == 0) co_await loop.sleep_until(loop.now() + 1ns);
      continue;
    }
    // A failed write shows as an end of reading too; an engine that refuses early may still have
    // said why.
    const auto woken = co_await x.wait();
    if (!woken) co_return std::unexpected(woken.error());
    if (*woken == Wake::kPhaseDeadline) {
      if (!x.body.complete()) co_return stop(body_timeout());  // not the engine's fault
      co_return fail_with(OutcomeKind::kTimeout, ErrorCode::kFirstByteTimeout,
                          fmt::format("no answer within {}", human_duration(first_byte_timeout())));
    }
  }
}

// The engine's load as of this answer, fresher than a poll's. What polls alone can tell (the share
// of other clients) stays as it is.
void Attempt::note_load_report() {
  const auto told = http::find(head().headers, http::HeaderName::kEndpointLoadMetrics);
  if (!told) return;
  const engines::OrcaReport report = engines::read_orca(*told);
  LoadCell& cell = exchange_.parts.shard.loads.at(endpoint_.id);
  if (report.kv_used) {
    cell.reported_kv_used.store(static_cast<float>(*report.kv_used), std::memory_order_relaxed);
  }
  if (report.waiting) {
    cell.reported_waiting.store(static_cast<std::int32_t>(*report.waiting),
                                std::memory_order_relaxed);
  }
}

Rare<AttemptFailure> Attempt::read_answer_head() {
  const auto progress = head_parser_->feed(answer_text_);
  if (!progress) {
    return fail_with(OutcomeKind::kBadResponse, ErrorCode::kUpstreamBadResponse,
                     progress.error().detail);
  }
  if (progress->state != http::HeadState::kDone) return std::nullopt;
  outcome_.status = static_cast<std::uint16_t>(head().status);
  head_bytes_ = progress->consumed;
  keep_alive_ = head().keep_alive;
  note_load_report();
  // The head's views stay in answer_text_; the reader takes the body's beginning along.
  answer_ = std::make_unique<AnswerReader>(connection_->stream, http::BodyDecoder(head()),
                                           answer_text_.substr(progress->consumed));
  return std::nullopt;
}

void Attempt::begin_relay() {
  Exchange& x = exchange_;
  x.parts.waiter.watch_client = true;
  x.refresh_facts();
  if (!x.body.complete())
    x.parts.reply.close_after();  // the engine answered early: the rest of the body is not read
}

port::Task<Step<Rare<AttemptFailure>>> Attempt::relay() {
  const Api api = exchange_.facts.api;
  const std::string type =
      lower(http::find(head().headers, http::HeaderName::kContentType).value_or(""));
  const bool is_stream =
      type.starts_with(is_ollama(api) ? "application/x-ndjson" : "text/event-stream");
  if (head().status >= 400) return read_refusal(*this);
  if (api == Api::kRealtime) return relay_tunnel(*this);
  if (head().status >= 300) {
    return failed(
        fail_with(OutcomeKind::kBadResponse, ErrorCode::kUpstreamBadResponse,
                  fmt::format("answered {} instead of an inference result", head().status)));
  }
  return is_stream ? relay_stream(*this) : relay_plain(*this);
}

void Attempt::keep_connection() {
  const bool live = exchange_.facts.api == Api::kRealtime;
  const bool keep = !live && sent_all_ && !out_->blocked() && keep_alive_ && answer_->reusable();
  if (keep) exchange_.parts.shard.upstream.give_back(std::move(connection_));
}

const Outcome& Attempt::settle() {
  if (settled_) return outcome_;
  settled_ = true;
  if (connection_) connection_->stream.attach(nullptr);
  connection_.reset();  // closes what is not given back: that cancels the request at the engine
  outcome_.prompt_tokens = exchange_.prompt_tokens;
  outcome_.cached_tokens = exchange_.cached_tokens;
  outcome_.output_tokens = exchange_.output_tokens;
  exchange_.settle(outcome_, {std::move(decision_), in_flight_, std::move(error_)});
  return outcome_;
}

}  // namespace infermesh::data
