#include "data/server/serve_request.h"

#include <fmt/format.h>

#include "data/exchange/errors.h"
#include "data/exchange/exchange.h"
#include "data/repository/model_control.h"
#include "data/server/kserve_replies.h"
#include "data/server/own_replies.h"
#include "data/server/request_id.h"
#include "data/server/route_table.h"
#include "wire/http/body.h"
#include "wire/http/percent.h"

namespace infermesh::data {
namespace {

struct Asked {
  std::string_view method, path, api, error;
};

// For metrics and the access log, when no exchange does it.
void note(const Serving& serving, const Asked& asked) {
  const auto& [shard, client, waiter, reply, start, holder] = serving;
  shard.meter.answered({.received = start.received_wall,
                        .total = shard.loop.now() - start.received,
                        .client = client.stream,
                        .request_id = start.request_id,
                        .method = asked.method,
                        .path = asked.path,
                        .api = asked.api,
                        .status = static_cast<std::uint16_t>(reply.status()),
                        .bytes_out = reply.body_bytes(),
                        .error = asked.error});
}

// A body of a few bytes, whole; nothing when it is not that.
port::Task<std::optional<std::string>> small_body(const Serving& serving,
                                                  const http::RequestHead& head) {
  const auto& [shard, client, waiter, reply, start, holder] = serving;
  http::BodyDecoder decoder(head);
  std::string body;
  waiter.phase_deadline = shard.loop.now() + shard.settings.client_body_timeout;
  while (!decoder.done()) {
    const http::BodyPiece piece = decoder.decode(client.input);
    if (body.size() + piece.payload.size() > kIndexBodyMax) co_return std::nullopt;
    body.append(piece.payload);
    client.input.erase(0, piece.consumed);
    if (piece.state == http::BodyState::kError) co_return std::nullopt;
    if (decoder.done() || !client.input.empty()) continue;
    const auto read = client.read_more(shard.scratch);
    if (read == ClientSide::Read::kGone) {
      if (client.broken || decoder.finish_on_eof() != http::BodyEof::kClean) co_return std::nullopt;
      break;
    }
    if (read == ClientSide::Read::kSome) continue;
    const Wake woken = co_await waiter.wait();
    if (woken != Wake::kProgress) co_return std::nullopt;
  }
  co_return body;
}

std::string_view reply_control(const Serving& serving, const http::RequestHead& head,
                               const RouteMatch& match, const Result<ControlAnswer>& answer) {
  const auto& [shard, client, waiter, reply, start, holder] = serving;
  if (!answer) {
    if (answer.error().code == ErrorCode::kClientClosed) {
      reply.abort();
    } else {
      reply_error(shard, reply, {match.route->api, head.method, head.path}, answer.error(), start);
    }
    return error_info(answer.error().code).name;
  }
  reply.begin(answer->status, answer->body.size());
  if (!answer->content_type.empty()) reply.header("content-type", answer->content_type);
  stamp_request_id(reply, std::nullopt, start);
  if (shard.settings.decision_headers) reply.header("x-infermesh-engine", answer->engine);
  reply.finish(answer->body);
  return {};
}

port::Task<void> answer_kserve(Serving serving, const http::RequestHead& head, RouteMatch match) {
  const auto body = co_await small_body(serving, head);
  if (!body) serving.reply.close_after();
  if (match.kserve == kserve::Call::kControl && serving.shard.settings.model_control) {
    Result<ControlAnswer> answer =
        fail(ErrorCode::kRequestTooLarge,
             fmt::format("A call that loads a model takes at most {} bytes.", kIndexBodyMax));
    const ControlParts control{.shard = serving.shard,
                               .waiter = serving.waiter,
                               .head = head,
                               .request_id = serving.start.request_id,
                               .model = match.model,
                               .body = body ? *body : std::string_view()};
    if (body) answer = co_await pass_control(control);
    const std::string_view failed = reply_control(serving, head, match, answer);
    note(serving, {head.method, head.path, "kserve", failed});
    co_return;
  }
  const std::string_view error = reply_kserve(serving.shard, serving.reply, match,
                                              body ? *body : std::string_view(), serving.start);
  note(serving, {head.method, head.path, "kserve", error});
}

port::Task<void> relay_stored(Serving serving, const http::RequestHead& head, RouteMatch match) {
  const std::string path = fmt::format("{}{}{}", match.route->path, match.rest, match.route->tail);
  ExchangeParts parts{
      serving.shard,    serving.client, serving.waiter, serving.reply, head, serving.head_holder,
      match.route->api, path,           serving.start,  match.rest,    {}};
  co_await run_exchange(std::move(parts));
}

port::Task<void> answered() {
  co_return;
}

}  // namespace

RequestStart start_request(Shard& shard, const http::RequestHead* head) {
  RequestStart start;
  start.received = shard.loop.now();
  start.received_wall = shard.loop.wall_now();
  const auto id =
      head == nullptr ? std::nullopt : http::find(head->headers, http::HeaderName::kXRequestId);
  start.request_id = id && is_usable_request_id(*id)
                         ? std::string(*id)
                         : mint_request_id(start.received_wall, shard.rng);
  return start;
}

// Not a coroutine: for most requests the task is the exchange itself, without a frame around it.
port::Task<void> serve_request(Serving serving, const http::RequestHead& head) {
  const auto& [shard, client, waiter, reply, start, holder] = serving;
  RouteMatch match = find_route(head.method, head.path);
  const bool found = match.status == RouteStatus::kFound;
  if (found && match.route->action == Action::kInference) {
    if (match.route->api == Api::kRealtime) {
      match.model = http::percent_decoded(http::query_value(head.query, "model").value_or(""));
    }
    return run_exchange({shard,
                         client,
                         waiter,
                         reply,
                         head,
                         holder,
                         match.route->api,
                         match.path,
                         start,
                         {},
                         {std::move(match.model), match.stream}});
  }
  if (found && match.route->action == Action::kKserve) {
    return answer_kserve(serving, head, std::move(match));
  }
  if (found && match.route->action == Action::kStored) {
    return relay_stored(serving, head, std::move(match));
  }
  const bool has_body =
      head.framing() != http::BodyFraming::kNone && head.content_length.value_or(1) > 0;
  if (has_body) reply.close_after();
  const std::string_view error = found ? reply_itself(shard, reply, *match.route, match.rest, start)
                                       : reply_unrouted(shard, reply, head, match, start);
  note(serving, {head.method, head.path, found ? "models" : "unknown", error});
  return answered();
}

void refuse_request(const Serving& serving, const Error& error) {
  reply_error(serving.shard, serving.reply, {std::nullopt, "-", "-", {}}, error, serving.start);
  note(serving, {"-", "-", "unknown", error_info(error.code).name});
}

port::Task<bool> flush_reply(Shard& shard, ClientSide& client, Waiter& waiter) {
  waiter.total_deadline = kNever;
  waiter.keepalive_due = kNever;
  waiter.phase_deadline = kNever;
  waiter.watch_client = false;
  while (client.out.blocked()) {
    const Wake woken = co_await waiter.wait();
    if (woken == Wake::kClientStalled) shard.meter.client_stalled();
    if (woken != Wake::kProgress) co_return false;
  }
  co_return !client.out.failed();
}

}  // namespace infermesh::data
