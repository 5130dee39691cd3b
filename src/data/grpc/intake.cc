// The beginning of a call: its method, its deadline, and the model and the sequence that its first
// message names.
#include <fmt/format.h>

#include <algorithm>

#include "core/route/pipeline.h"
#include "data/exchange/errors.h"
#include "data/grpc/call.h"
#include "data/grpc/own_answers.h"
#include "wire/kserve/infer_reader.h"
#include "wire/openai/facts_options.h"

namespace infermesh::data {
namespace {

constexpr std::size_t kReadAtOnce = 16 << 10;

Stop client_gone() {
  return {Stop::Kind::kClientGone, {}, {}};
}

}  // namespace

Step<> GrpcCall::read_head() {
  const auto timeout = http::find(parts.head.headers, "grpc-timeout");
  if (timeout) {
    const auto time = grpc::parse_timeout(*timeout);
    if (!time)
      return stop({ErrorCode::kInvalidField,
                   fmt::format("grpc-timeout is '{}'; it is up to 8 digits and a unit of H, M, S, "
                               "m, u or n.",
                               timeout->substr(0, 40)),
                   "grpc-timeout"});
    facts.deadline = parts.start.received + std::min<Duration>(*time, 24h * 365);
    parts.waiter.total_deadline = facts.deadline;
  }
  if (parts.head.method != "POST")
    return stop({ErrorCode::kMethodNotAllowed, "A gRPC call is a POST.", {}});
  method = grpc::find_method(parts.head.path);
  if (method.handling == grpc::Handling::kUnknown)
    return stop({ErrorCode::kUnknownPath,
                 fmt::format("This router does not serve {}.", parts.head.path),
                 {}});
  if (method.handling == grpc::Handling::kOneEngine)
    return stop({ErrorCode::kUnknownPath,
                 fmt::format("{} is about one engine; ask that engine itself.", parts.head.path),
                 {}});
  return {};
}

Step<> GrpcCall::read_on() {
  if (parts.stream.broken() || parts.client.broken) return std::unexpected(client_gone());
  std::string& early = parts.client.input;  // read by a wait
  const auto ahead = [this] { return kept_from + kept.size() - sent; };
  if (!early.empty()) {
    bytes_in += early.size();
    kept.append(early);
    early = {};
  }
  while (!parts.client.ended && parts.client.stream.may_read() && ahead() < kAheadMax) {
    const std::size_t before = kept.size();
    port::IoResult got;
    kept.resize_and_overwrite(before + kReadAtOnce, [&](char* data, std::size_t size) {
      got = parts.client.stream.read({data + before, size - before});
      return before + (got.status == port::IoStatus::kOk ? got.bytes : 0);
    });
    if (got.status == port::IoStatus::kWouldBlock) break;
    if (got.status == port::IoStatus::kEnd) parts.client.ended = true;
    if (got.status == port::IoStatus::kError) return std::unexpected(client_gone());
    bytes_in += got.status == port::IoStatus::kOk ? got.bytes : 0;
  }
  return {};
}

// True once all that routing looks at is known.
Step<bool> GrpcCall::know_enough() {
  const auto encoding = http::find(parts.head.headers, "grpc-encoding").value_or("");
  const auto message = grpc::read_first_message(kept, encoding, inflated_);
  if (!message) return stop(message.error());
  if (message->begun && message->announced > parts.shard.settings.body_bytes_max)
    return stop({ErrorCode::kRequestTooLarge,
                 fmt::format("The message has {} bytes; this router takes at most {}.",
                             message->announced, parts.shard.settings.body_bytes_max),
                 {}});
  const bool nothing_more = request_ended() || kept.size() >= grpc::kScanBytesMax;
  if (!message->begun) {
    if (!nothing_more) return false;
    return stop({ErrorCode::kInvalidField, "The call has no message.", {}});
  }
  const auto found = find_model(*message, nothing_more);
  if (!found || !*found || !wants_sequence()) return found;
  const auto sequence = grpc::scan_sequence(message->bytes, message->whole);
  if (!sequence.id.empty()) facts.session_key = openai::session_key(sequence.id);
  return sequence.settled || nothing_more || message->bytes.size() >= grpc::kScanBytesMax;
}

Step<bool> GrpcCall::find_model(const grpc::FirstMessage& message, bool nothing_more) {
  auto scanned = grpc::scan_model(message.bytes, message.whole);
  if (!scanned) return stop(scanned.error());
  if (scanned->state == grpc::ModelScan::State::kFound) {
    facts.model = std::move(scanned->model);
    return true;
  }
  if (scanned->state == grpc::ModelScan::State::kNeedMore && !nothing_more) return false;
  const bool late = scanned->state == grpc::ModelScan::State::kNeedMore;
  return stop({ErrorCode::kMissingRequiredParameter,
               late ? fmt::format("The first {} bytes of the message do not name its model.",
                                  grpc::kScanBytesMax)
                    : "The message does not name its model.",
               "model_name"});
}

// Where the policy is one of sessions by the protocol's own key and no header gives one.
bool GrpcCall::wants_sequence() const {
  const Model* named = method.infers ? parts.shard.view->find_model(facts.model) : nullptr;
  if (named == nullptr) return false;
  const RoutingPolicyObject& policy = route::policy_for(*parts.shard.view, *named);
  if (policy.session_body_key != kserve::kSequenceKey) return false;
  return http::find(parts.head.headers, policy.session_header).value_or("").empty();
}

port::Task<Step<>> GrpcCall::intake() {
  Waiter& waiter = parts.waiter;
  const config::Settings& settings = parts.shard.settings;
  while (true) {
    waiter.phase_deadline = parts.shard.loop.now() + settings.client_body_timeout;
    if (auto read = read_on(); !read) co_return read;
    const auto found = know_enough();
    if (!found) co_return std::unexpected(found.error());
    if (*found) break;
    const auto woken = co_await wait();
    if (!woken) co_return std::unexpected(woken.error());
    if (*woken == Wake::kPhaseDeadline) co_return stop(body_timeout());
  }
  intake_time_ = parts.shard.loop.now() - parts.start.received;
  co_return Step<>{};
}

Step<> GrpcCall::resolve() {
  view = parts.shard.view;
  model = view->find_model(facts.model);
  if (model == nullptr) return stop(unknown_model(*view, facts.model));
  pool = &view->pools[model->pool.value];
  record.pool = pool->spec.name;
  const std::string_view session =
      http::find(parts.head.headers, route::policy_for(*view, *model).session_header).value_or("");
  if (!session.empty()) facts.session_key = openai::session_key(session);
  facts.stream = method.streams;
  facts.body_bytes = Bytes(static_cast<std::int64_t>(bytes_in));
  record.facts = facts;
  if (!method.streams)
    parts.waiter.total_deadline =
        std::min(facts.deadline, parts.start.received + pool->spec.total_timeout);
  return {};
}

// The message of a question about the router says nothing that is needed; it is read so that the
// call ends as it began.
port::Task<Step<>> GrpcCall::answer_self() {
  parts.waiter.phase_deadline = parts.shard.loop.now() + parts.shard.settings.client_body_timeout;
  while (!request_ended()) {
    if (auto read = read_on(); !read) co_return read;
    if (request_ended()) break;
    if (kept.size() >= kAheadMax)
      co_return stop({ErrorCode::kRequestTooLarge, "This method takes a short message.", {}});
    const auto woken = co_await wait();
    if (!woken) co_return std::unexpected(woken.error());
    if (*woken == Wake::kPhaseDeadline) co_return stop(body_timeout());
  }
  const std::string message = grpc::frame_message(own_answer(method.handling, *parts.shard.view));
  http2::FieldBlock head;
  head.add(":status", "200");
  head.add("content-type", "application/grpc");
  head.add("x-request-id", parts.start.request_id);
  parts.stream.respond(head, http2::Body::kFollows);
  answer_begun = true;
  bytes_out += message.size();
  parts.client.out.write(message);
  status = grpc::Status::kOk;
  trailers.add("grpc-status", "0");
  co_return Step<>{};
}

}  // namespace infermesh::data
