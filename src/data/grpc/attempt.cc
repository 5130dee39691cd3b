#include "data/grpc/attempt.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "data/exchange/upstream_head.h"
#include "data/http2/stream_end.h"

namespace infermesh::data {
namespace {

constexpr std::size_t kSendAtOnce = 32 << 10;

}  // namespace

GrpcAttempt::GrpcAttempt(GrpcCall& call, Decision decision, std::uint32_t number)
    : call_(call),
      decision_(std::move(decision)),
      view_(call.view),
      endpoint_(*view_->endpoint(*decision_.endpoint)),
      number_(number) {
  call_.last_engine = endpoint_.name;
  outcome_.endpoint = endpoint_.id;
  outcome_.model = call.model->id;
  outcome_.trial = decision_.trial;
  outcome_.kind = OutcomeKind::kCancelled;  // until something else is known
  AttemptRecord attempt;
  attempt.endpoint = endpoint_.id;
  attempt.engine = endpoint_.name;
  call_.record.attempts.push_back(std::move(attempt));
  call_.note_names(decision_);
}

GrpcAttempt::~GrpcAttempt() {
  settle();
}

GrpcFailure GrpcAttempt::fail_with(OutcomeKind kind, ErrorCode code, std::string detail) {
  outcome_.kind = kind;
  error_ = detail;
  return {{code, fmt::format("{}: {}", endpoint_.name, detail), {}}};
}

port::Task<Step<std::optional<GrpcFailure>>> GrpcAttempt::run() {
  Shard& shard = call_.parts.shard;
  outcome_.sent_at = shard.loop.now();
  in_flight_ =
      route::InFlight::sent(shard.loads, nullptr, decision_, call_.facts, outcome_.sent_at);
  auto opened = co_await open();
  if (!opened || *opened) co_return std::move(opened);
  co_return co_await converse();
}

// The client's own fields, but for credentials and what belongs to its connection.
http2::FieldBlock GrpcAttempt::compose_head() const {
  const http::RequestHead& head = call_.parts.head;
  http2::FieldBlock block;
  block.add(":method", "POST");
  block.add(":scheme", endpoint_.grpc_tls ? "https" : "http");
  block.add(":path", head.path);
  block.add(":authority", endpoint_.grpc.authority);
  block.add("te", "trailers");
  for (const http::Header& header : head.headers) {
    const bool compression = header.id == http::HeaderName::kAcceptEncoding;
    if (header.name == "grpc-timeout") continue;
    if (call_.trace && header.id == http::HeaderName::kTraceparent) continue;
    if (!compression && !is_request_header_passed(header)) continue;
    block.add(header.name, header.value);
  }
  const Instant deadline = call_.facts.deadline;
  if (deadline != kNever)
    block.add("grpc-timeout", grpc::format_timeout(deadline - call_.parts.shard.loop.now()));
  block.add("x-request-id", fmt::format("{}.{}", call_.parts.start.request_id, number_));
  if (call_.trace) block.add("traceparent", call_.trace->traceparent());
  if (!endpoint_.api_key.empty())
    block.add("authorization", fmt::format("Bearer {}", endpoint_.api_key));
  return block;
}

port::Task<Step<std::optional<GrpcFailure>>> GrpcAttempt::open() {
  Shard& shard = call_.parts.shard;
  Waiter& waiter = call_.parts.waiter;
  const Instant deadline =
      std::min(shard.loop.now() + call_.pool->spec.connect_timeout, waiter.total_deadline);
  while (!shard.http2_upstream.has_room(endpoint_)) {
    auto dial = shard.http2_upstream.dial(endpoint_, deadline, waiter.wake);
    if (!dial)
      co_return fail_with(OutcomeKind::kConnectFailed, ErrorCode::kUpstreamConnectFailed,
                          dial.error().detail);
    waiter.phase_deadline = kNever;  // the dial has its own
    waiter.watch_client = call_.request_ended();
    while (!dial->ended()) {
      const auto woken = co_await call_.wait();
      if (!woken) co_return std::unexpected(woken.error());
    }
    if (!dial->result())
      co_return fail_with(OutcomeKind::kConnectFailed, ErrorCode::kUpstreamConnectFailed,
                          dial->result().error().detail);
  }
  const http2::FieldBlock head = compose_head();
  const http::Headers fields = head.views();
  auto opened = shard.http2_upstream.open(endpoint_, fields, http2::Body::kFollows);
  if (!opened)
    co_return fail_with(OutcomeKind::kConnectFailed, ErrorCode::kUpstreamConnectFailed,
                        opened.error().detail);
  engine_ = std::move(*opened);
  wire_ = std::make_unique<WatchedStream>(
      std::make_unique<Http2StreamEnd>(engine_, endpoint_.grpc.authority));
  wire_->attach(&waiter.wake);
  engine_->on_change(&waiter.wake);
  out_ = std::make_unique<OutBuffer>(*wire_);
  co_return Failure{};
}

// A stream of messages may be silent for as long as its client asks nothing. Once it has, it owes
// an answer, as it does when the client has ended its side.
Instant GrpcAttempt::stream_deadline() const {
  const PoolObject& spec = call_.pool->spec;
  const bool reading = !out_->blocked();
  if (reading && !ended_ && frames_.amid())
    return moved_at_ + call_.parts.shard.settings.client_body_timeout;
  if (reading && !ended_ && !owes_) return kNever;
  const bool begun = outcome_.first_byte >= Duration::zero();
  return moved_at_ + (begun ? spec.between_bytes_timeout : spec.first_byte_timeout);
}

// Of a call of one message is expected that it is answered soon.
Instant GrpcAttempt::silence_deadline() const {
  if (call_.method.streams) return stream_deadline();
  const PoolObject& spec = call_.pool->spec;
  if (call_.answer_begun) return heard_at_ + spec.between_bytes_timeout;
  return call_.request_ended()
             ? heard_at_ + spec.first_byte_timeout
             : call_.parts.shard.loop.now() + call_.parts.shard.settings.client_body_timeout;
}

port::Task<Step<std::optional<GrpcFailure>>> GrpcAttempt::converse() {
  Waiter& waiter = call_.parts.waiter;
  heard_at_ = moved_at_ = call_.parts.shard.loop.now();
  call_.sent = 0;
  while (true) {
    if (auto sent = send_some(); !sent) co_return std::unexpected(sent.error());
    if (engine_->response && !call_.answer_begun) {
      if (auto refusal = refused()) co_return std::move(refusal);
      begin_answer();
    }
    const auto whole = take_answer();
    if (!whole) co_return std::unexpected(whole.error());
    if (*whole) {
      take_end();
      co_return Failure{};
    }
    if (engine_->broken()) co_return broke_off();
    waiter.phase_deadline = silence_deadline();
    waiter.watch_client = call_.request_ended();
    const auto woken = co_await call_.wait();
    if (!woken) co_return std::unexpected(woken.error());
    if (*woken != Wake::kPhaseDeadline) continue;
    const bool client_is_late = call_.method.streams
                                    ? !ended_ && frames_.amid() && !out_->blocked()
                                    : !call_.request_ended() && !call_.answer_begun;
    if (client_is_late) {
      co_return stop(
          {ErrorCode::kRequestTimeout, "The rest of the call did not arrive in time.", {}});
    }
    const bool begun = outcome_.first_byte >= Duration::zero();
    auto late = fail_with(
        OutcomeKind::kTimeout, begun ? ErrorCode::kStreamStalled : ErrorCode::kFirstByteTimeout,
        fmt::format("no {} in the time that the pool allows", begun ? "more" : "answer"));
    if (call_.answer_begun) co_return stop(std::move(late.error));
    co_return Failure(std::move(late));
  }
}

// What there is of the request and the engine takes; a slow engine slows the client.
Step<> GrpcAttempt::send_some() {
  if (out_->blocked() && wire_->may_write()) out_->flush();
  while (!out_->blocked() && !out_->failed() && !ended_) {
    if (auto read = call_.read_on(); !read) return read;
    const std::string_view rest =
        std::string_view(call_.kept).substr(call_.sent - call_.kept_from, kSendAtOnce);
    if (rest.empty()) break;
    call_.sent += rest.size();
    out_->write(rest);
    if (call_.method.streams) {
      frames_.pass(rest);
      owes_ = true;
      moved_at_ = call_.parts.shard.loop.now();
    }
    call_.forget_sent();
  }
  const bool all = call_.request_ended() && call_.sent == call_.kept_from + call_.kept.size();
  if (all && !ended_ && !out_->blocked() && !out_->failed()) {
    ended_ = true;
    engine_->end();
    heard_at_ = moved_at_ = call_.parts.shard.loop.now();  // from here on the engine is at work
  }
  return {};
}

Step<bool> GrpcAttempt::take_answer() {
  OutBuffer& client = call_.parts.client.out;
  auto& scratch = call_.parts.shard.scratch;
  while (call_.answer_begun && !client.blocked() && engine_->unread()) {
    const port::IoResult got = wire_->read(scratch);
    if (got.status != port::IoStatus::kOk) break;
    heard_at_ = moved_at_ = call_.parts.shard.loop.now();
    owes_ = false;
    if (outcome_.first_byte < Duration::zero()) {
      outcome_.first_byte = heard_at_ - outcome_.sent_at;
      in_flight_.first_byte(heard_at_);
    }
    call_.bytes_out += got.bytes;
    client.write(std::string_view(scratch.data(), got.bytes));
  }
  if (call_.answer_begun && !engine_->unread() && !engine_->ended()) wire_->expect_read();
  return call_.answer_begun && engine_->ended() && !engine_->unread();
}

void GrpcAttempt::begin_answer() {
  const http2::FieldBlock& said = *engine_->response;
  http2::FieldBlock block;
  block.add(":status", said.find(":status").value_or("200"));
  for (const http::Header& field : said.views()) {
    if (!field.name.starts_with(':') && !is_own_header(field.name) && field.name != "x-request-id")
      block.add(field.name, field.value);
  }
  block.add("x-request-id", call_.parts.start.request_id);
  if (call_.parts.shard.settings.decision_headers) {
    block.add("x-infermesh-engine", endpoint_.name);
    block.add("x-infermesh-attempts", std::to_string(number_));
    block.add("x-infermesh-reason", call_.last_reason);
  }
  call_.parts.stream.respond(block, engine_->response_body);
  call_.answer_begun = true;
  call_.forget_sent();
  heard_at_ = call_.parts.shard.loop.now();
}

void GrpcAttempt::note_outcome(grpc::Status status) {
  outcome_.status = static_cast<std::uint16_t>(grpc::http_of(status));
  switch (status) {
    case grpc::Status::kOk:
      outcome_.kind = OutcomeKind::kOk;
      break;
    case grpc::Status::kUnavailable:
    case grpc::Status::kResourceExhausted:
      outcome_.kind = OutcomeKind::kOverloaded;
      break;
    case grpc::Status::kInternal:
    case grpc::Status::kUnknown:
    case grpc::Status::kDataLoss:
      outcome_.kind = OutcomeKind::kEngineError;
      break;
    case grpc::Status::kCancelled:
      outcome_.kind = OutcomeKind::kCancelled;
      break;
    default:
      outcome_.kind = OutcomeKind::kClientError;
  }
}

// A status alone may be better elsewhere; the retry rules say which. Not one that streams or bodies
// follow.
std::optional<GrpcFailure> GrpcAttempt::refused() {
  if (engine_->response_body != http2::Body::kNone) return std::nullopt;
  const http2::FieldBlock& said = *engine_->response;
  const int http = static_cast<int>(parse_u64(said.find(":status").value_or("")).value_or(0));
  const auto told = grpc::parse_status(said.find("grpc-status").value_or(""));
  const grpc::Status status = told.value_or(grpc::status_of_http(http));
  if (status == grpc::Status::kOk) return std::nullopt;
  auto failure = fail_with(OutcomeKind::kClientError, ErrorCode::kUpstreamError,
                           fmt::format("grpc-status {} {}", static_cast<int>(status),
                                       said.find("grpc-message").value_or("").substr(0, 200)));
  note_outcome(status);
  failure.status = status;
  if (!told) return failure;
  http2::FieldBlock block;
  for (const http::Header& field : said.views()) {
    if (!is_own_header(field.name) && field.name != "x-request-id")
      block.add(field.name, field.value);
  }
  block.add("x-request-id", call_.parts.start.request_id);
  failure.said = std::move(block);
  return failure;
}

void GrpcAttempt::take_end() {
  http2::FieldBlock& last =
      engine_->response_body == http2::Body::kNone ? *engine_->response : engine_->trailers;
  const auto status = grpc::parse_status(last.find("grpc-status").value_or(""));
  call_.status = status.value_or(grpc::Status::kUnknown);
  note_outcome(call_.status);
  if (!status) outcome_.kind = OutcomeKind::kBadResponse;
  if (engine_->response_body == http2::Body::kNone) return;  // the head was the end
  for (const http::Header& field : last.views()) call_.trailers.add(field.name, field.value);
}

// The engine reset the call, or its connection is gone.
Step<std::optional<GrpcFailure>> GrpcAttempt::broke_off() {
  const bool begun = call_.answer_begun;
  auto failure = engine_->link() == nullptr
                     ? fail_with(begun ? OutcomeKind::kTruncated : OutcomeKind::kReset,
                                 begun ? ErrorCode::kStreamTruncated : ErrorCode::kUpstreamReset,
                                 "the connection ended before the answer did")
                     : fail_with(begun ? OutcomeKind::kTruncated : OutcomeKind::kReset,
                                 begun ? ErrorCode::kStreamTruncated : ErrorCode::kUpstreamReset,
                                 fmt::format("the engine reset the call (code {})",
                                             static_cast<std::uint32_t>(engine_->code())));
  if (begun) return stop(std::move(failure.error));
  return Failure(std::move(failure));
}

const Outcome& GrpcAttempt::settle() {
  if (settled_) return outcome_;
  settled_ = true;
  out_.reset();
  wire_.reset();  // leaves the stream: a call that is not over is cancelled at the engine
  call_.settle(outcome_, {std::move(decision_), in_flight_, std::move(error_)});
  return outcome_;
}

}  // namespace infermesh::data
