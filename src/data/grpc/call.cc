#include "data/grpc/call.h"

#include <fmt/format.h>

#include <utility>

#include "base/text.h"
#include "core/health/retry.h"
#include "data/grpc/attempt.h"

namespace infermesh::data {
namespace {

constexpr std::string_view kGrpcType = "application/grpc";

// A client may ask again after this, where trying again makes sense.
constexpr std::string_view kPushbackMs = "1000";

}  // namespace

bool is_grpc(const http::RequestHead& head) {
  const auto type = http::find(head.headers, "content-type");
  if (!type || !type->starts_with(kGrpcType)) return false;
  return type->size() == kGrpcType.size() ||
         std::string_view("+;").find((*type)[kGrpcType.size()]) != std::string_view::npos;
}

port::Task<void> run_grpc_call(GrpcParts parts) {
  GrpcCall call(parts);
  co_await call.run();
}

GrpcCall::GrpcCall(const GrpcParts& given)
    : Routing(given.shard, given.waiter, given.start), parts(given) {
  facts.api = Api::kGrpc;
  if (parts.shard.spans != nullptr)
    trace.emplace(parts.head.headers, parts.shard.settings.trace_sample, parts.shard.rng);
  parts.stream.on_change(&parts.waiter.wake);
}

port::Task<void> GrpcCall::run() {
  auto served = co_await serve();
  if (served) {
    const bool written = co_await flush();
    if (written) {
      parts.stream.end(std::move(trailers));
    } else {
      served = client_left();
    }
  }
  if (!served) co_await end_with(served.error());
  finish_record();
}

port::Task<Step<>> GrpcCall::serve() {
  if (auto read = read_head(); !read) co_return read;
  if (method.handling != grpc::Handling::kByModel) co_return co_await answer_self();
  if (auto read = co_await intake(); !read) co_return read;
  if (auto found = resolve(); !found) co_return found;
  co_return co_await run_attempts();
}

port::Task<Step<Wake>> GrpcCall::wait() {
  const Wake woken = co_await parts.waiter.wait();
  if (parts.stream.broken()) co_return client_left();
  switch (woken) {
    case Wake::kProgress:
    case Wake::kKeepalive:
      co_return Wake::kProgress;
    case Wake::kPhaseDeadline:
      co_return woken;
    case Wake::kTotalDeadline:
      co_return stop({ErrorCode::kDeadlineExceeded,
                      fmt::format("The call was not complete after {}.",
                                  human_duration(parts.shard.loop.now() - parts.start.received)),
                      {}});
    case Wake::kClientStalled:
      co_return stop({ErrorCode::kClientTooSlow,
                      fmt::format("The client read nothing for {}.",
                                  human_duration(parts.shard.settings.client_stall_timeout)),
                      {}});
    case Wake::kClientGone:
      co_return client_left();
    case Wake::kStopped:
      break;
  }
  co_return std::unexpected(
      Stop{Stop::Kind::kStopped,
           Error{ErrorCode::kDraining, "This router stops and could not wait longer.", {}}});
}

void GrpcCall::forget_sent() {
  const bool needed = !answer_begun && kept_from == 0 && kept.size() <= kReplayMax;
  if (needed) return;
  const std::size_t gone = sent - kept_from;
  if (gone < kept.size() && gone < kAheadMax) return;  // not worth moving the rest
  kept_from = sent;
  if (gone == kept.size()) {
    kept = {};
  } else {
    kept.erase(0, gone);
  }
}

port::Task<Step<>> GrpcCall::run_attempts() {
  auto tried = co_await try_engines<GrpcAttempt>(*this);
  if (!tried) co_return std::unexpected(std::move(tried.error()));
  if (!*tried) co_return Step<>{};
  auto& failure = *tried;
  if (!failure->said) co_return stop(std::move(failure->error));
  // The engine's own words, as it said them.
  record.error_code = error_info(failure->error.code).name;
  status = failure->status;
  parts.stream.respond(*failure->said, http2::Body::kNone);
  answer_begun = true;
  co_return Step<>{};
}

// What is still to be written, at the client's pace.
port::Task<bool> GrpcCall::flush() {
  parts.waiter.phase_deadline = kNever;
  while (parts.client.out.blocked()) {
    const auto woken = co_await wait();
    if (!woken) co_return false;
  }
  co_return !parts.client.out.failed();
}

// Nothing of an answer is out: a status alone. Else the status ends what there is.
void GrpcCall::refuse(const Error& error) {
  status = grpc::status_of(error.code);
  const auto& info = error_info(error.code);
  http2::FieldBlock block;
  if (!answer_begun) {
    block.add(":status", "200");
    block.add("content-type", kGrpcType);
    block.add("x-request-id", parts.start.request_id);
  }
  block.add("grpc-status", std::to_string(static_cast<int>(status)));
  block.add("grpc-message", grpc::escape_message(error.detail.empty() ? info.what : error.detail));
  if (status == grpc::Status::kUnavailable) block.add("grpc-retry-pushback-ms", kPushbackMs);
  if (answer_begun) {
    parts.stream.end(std::move(block));
  } else {
    parts.stream.respond(block, http2::Body::kNone);
  }
  parts.shard.meter.refused(error.code);
}

port::Task<void> GrpcCall::end_with(const Stop& why) {
  if (why.kind == Stop::Kind::kClientGone) {
    record.error_code = error_info(ErrorCode::kClientClosed).name;
    status = grpc::Status::kCancelled;
    parts.shard.meter.cancelled(facts.api);
    parts.stream.reset(http2::Code::kCancel);
    co_return;
  }
  record.error_code = error_info(why.code()).name;
  if (why.code() == ErrorCode::kClientTooSlow) {
    status = grpc::Status::kCancelled;
    parts.shard.meter.client_stalled();
    parts.stream.reset(http2::Code::kCancel);
    co_return;
  }
  const bool late = why.code() == ErrorCode::kDeadlineExceeded;
  parts.waiter.total_deadline = kNever;
  if (answer_begun && parts.client.out.blocked() && !late) co_await flush();
  if (parts.client.out.blocked()) {  // whoever does not read does not read a status either
    status = grpc::status_of(why.code());
    parts.stream.reset(http2::Code::kCancel);
    co_return;
  }
  refuse(*why.error);
}

// The names of OpenTelemetry's conventions for RPC.
TracedRequest GrpcCall::traced() const {
  const std::string_view full = parts.head.path.substr(1);  // "package.Service/Method"
  const std::size_t slash = full.rfind('/');
  TracedRequest of{.start = parts.start,
                   .record = record,
                   .name = std::string(full),
                   .kind = {{"rpc.system", std::string("grpc")},
                            {"rpc.service", std::string(full.substr(0, slash))},
                            {"rpc.method", std::string(full.substr(slash + 1))},
                            {"rpc.grpc.status_code", static_cast<std::int64_t>(status)}}};
  if (model != nullptr) of.model = facts.model;
  of.engine = last_engine;
  of.reason = last_reason;
  of.stream = facts.stream;
  return of;
}

void GrpcCall::finish_record() {
  const Instant now = parts.shard.loop.now();
  record.status = static_cast<std::uint16_t>(grpc::http_of(status));
  record.total = now - parts.start.received;
  record.finished = true;
  const RequestSummary summary{.record = record,
                               .client = parts.client.stream,
                               .model = model,
                               .api = facts.api,
                               .stream = facts.stream,
                               .method = parts.head.method,
                               .path = parts.head.path,
                               .model_name = facts.model,
                               .engine = last_engine,
                               .reason = last_reason,
                               .bytes_in = bytes_in,
                               .bytes_out = bytes_out,
                               .intake_time = intake_time_,
                               .prompt_tokens = {},
                               .cached_tokens = {},
                               .output_tokens = {},
                               .predicted_cached = Tokens(0)};
  parts.shard.meter.finished(summary, now);
  if (trace && trace->recorded() && method.handling == grpc::Handling::kByModel)
    parts.shard.spans->put(trace->span(traced(), now));
  parts.shard.decisions.put(std::move(record));
}

}  // namespace infermesh::data
