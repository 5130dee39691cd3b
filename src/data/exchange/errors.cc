#include "data/exchange/errors.h"

#include <fmt/format.h>

#include "base/text.h"
#include "data/exchange/exchange.h"
#include "wire/http/websocket.h"
#include "wire/openai/error_body.h"

namespace infermesh::data {
namespace {

openai::ErrorFamily family_of(std::optional<Api> api) {
  return api ? openai::error_family(*api) : openai::ErrorFamily::kOpenai;
}

void write_error(Reply& reply, const openai::ErrorReply& error) {
  reply.begin(error.status, error.body.size());
  for (const auto& [name, value] : error.headers) reply.header(name, value);
}

std::string list_names(const MeshView& view) {
  std::string names;
  std::size_t shown = 0;
  for (const Model& model : view.models) {
    if (shown++ == 5) return names + ", ...";
    if (!names.empty()) names += ", ";
    names += model.name;
  }
  return names;
}

// One clause per engine: "e1 is down (connection refused)".
std::string why_not(const MeshView& view, const CandidateNote& note) {
  const Endpoint* endpoint = view.endpoint(note.endpoint);
  if (endpoint == nullptr) return "an engine has gone";
  switch (note.rejection) {
    case Rejection::kTried:
      return fmt::format("{} has just failed", endpoint->name);
    case Rejection::kNotReady:
      if (endpoint->state_reason.empty())
        return fmt::format("{} is {}", endpoint->name, to_string(endpoint->state));
      return fmt::format("{} is {} ({})", endpoint->name, to_string(endpoint->state),
                         endpoint->state_reason);
    case Rejection::kApi:
      return fmt::format(
          "{} ({}) serves {}", endpoint->name, endpoint->runtime_name(),
          endpoint->apis.empty() ? "no route of this router" : to_string(endpoint->apis));
    case Rejection::kTooLong:
      return fmt::format("the prompt does not fit {}", endpoint->name);
    default:
      return fmt::format("{} is {}", endpoint->name, to_string(note.rejection));
  }
}

}  // namespace

void stamp_request_id(Reply& reply, std::optional<Api> api, const RequestStart& start) {
  reply.header("x-request-id", start.request_id);
  if (api == Api::kMessages || api == Api::kCountTokens)
    reply.header("request-id", start.request_id);
}

void reply_error(Shard& shard, Reply& reply, const Subject& subject, const Error& error,
                 const RequestStart& start) {
  if (shard.draining) reply.close_after();
  const auto made = openai::error_reply(family_of(subject.api), error, start.request_id);
  write_error(reply, made);
  stamp_request_id(reply, subject.api, start);
  if (!subject.allow.empty()) reply.header("allow", subject.allow);
  reply.finish(made.body);
  shard.meter.refused(error.code);
}

void reply_own_error(Exchange& exchange, const Error& error) {
  Reply& reply = exchange.parts.reply;
  const auto made = openai::error_reply(openai::error_family(exchange.facts.api), error,
                                        exchange.parts.start.request_id);
  write_error(reply, made);
  if (error.code == ErrorCode::kUpgradeRequired) {
    reply.header("upgrade", http::kWebSocket);
    reply.header("sec-websocket-version", "13");
  }
  exchange.stamp_decision_headers();
  reply.finish(made.body);
  exchange.parts.shard.meter.refused(error.code);
}

void reply_refusal(Exchange& exchange, const UpstreamRefusal& refusal) {
  Reply& reply = exchange.parts.reply;
  const auto made = openai::error_reply(openai::error_family(exchange.facts.api), refusal.error,
                                        exchange.parts.start.request_id);
  write_error(reply, made);
  exchange.stamp_decision_headers();
  if (!refusal.retry_after.empty()) reply.header("retry-after", refusal.retry_after);
  if (!refusal.retry_after_ms.empty()) reply.header("retry-after-ms", refusal.retry_after_ms);
  if (!refusal.should_retry.empty()) reply.header("x-should-retry", refusal.should_retry);
  reply.finish(made.body);
}

Error body_timeout() {
  return {ErrorCode::kRequestTimeout, "The rest of the body did not arrive in time.", {}};
}

Error unknown_model(const MeshView& view, std::string_view model) {
  std::vector<std::string> names;
  names.reserve(view.names.size());
  for (const auto& [name, id] : view.names) names.push_back(name);
  std::string detail = fmt::format("The model '{}' is not served here.", model.substr(0, 200));
  const auto near = nearest(model.substr(0, 200), names, 3);
  if (!near.empty()) {
    detail += fmt::format(" Nearest: {}.", fmt::join(near, ", "));
  } else if (!names.empty()) {
    detail += fmt::format(" Served: {}.", list_names(view));
  } else {
    detail += " No engine has been found yet.";
  }
  return {ErrorCode::kModelNotFound, std::move(detail), "model"};
}

Error no_engine(const MeshView& view, const Model& model, const Decision& decision,
                std::span<const EndpointId>) {
  const bool mute = decision.refusal == ErrorCode::kApiNotServed;
  std::string detail = mute ? fmt::format("No engine of '{}' serves this route", model.name)
                            : fmt::format("No engine can take '{}' now", model.name);
  std::size_t told = 0;
  for (const CandidateNote& note : decision.notes) {
    if (told == 4) {
      detail += ", ...";
      break;
    }
    detail += told++ == 0 ? ": " : ", ";
    detail += why_not(view, note);
  }
  if (decision.candidates_total == 0) detail += ": none serves it";
  return {decision.refusal, detail + ".", {}};
}

}  // namespace infermesh::data
