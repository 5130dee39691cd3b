// The beginning of an exchange: the body is read until routing knows enough, and the model is
// looked up.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "core/model/api_kind.h"
#include "core/route/pipeline.h"
#include "data/exchange/errors.h"
#include "data/exchange/exchange.h"
#include "data/exchange/head_facts.h"
#include "wire/http/multipart.h"
#include "wire/http/websocket.h"
#include "wire/openai/facts_options.h"

namespace infermesh::data {
namespace {

constexpr std::size_t kIntakeAtOnce = 256 << 10;  // of the body between looks at what is known

// What a JSON body may call itself. curl -d says form-urlencoded whatever the data is, so that is
// let through as JSON.
bool is_json_type(std::string_view type) {
  const std::string name = lower(trim(type.substr(0, type.find(';'))));
  return name.empty() || name == "application/json" || name.ends_with("+json") ||
         name == "text/plain" || name == "application/x-www-form-urlencoded" || name == "*/*";
}

Error response_not_found(std::string_view id, std::string param) {
  return {ErrorCode::kResponseNotFound,
          fmt::format("No engine is known to keep the response '{}'.", id.substr(0, 200)),
          std::move(param)};
}

// The engine that keeps the answer of this id, of `model`'s engines or of all. Where there is one
// engine alone, it is that one.
std::optional<EndpointId> home_of(const Shard& shard, const MeshView& view, const Model* model,
                                  std::string_view id) {
  std::vector<EndpointId> all;
  for (const auto& endpoint : view.endpoints) {
    const bool keeps = endpoint && endpoint->apis.contains(Api::kStoredResponse);
    if (keeps && model == nullptr) all.push_back(endpoint->id);
  }
  const std::vector<EndpointId>& engines = model == nullptr ? all : model->endpoints;
  if (engines.size() == 1) return engines.front();
  const auto home = shard.homes.find(openai::session_key(id));
  const bool there = home && std::ranges::find(engines, *home) != engines.end();
  return there ? home : std::nullopt;
}

// Where a route can do without a name: the one model whose engines serve it.
const Model* only_model(const MeshView& view, Api api) {
  const bool optional = api == Api::kTokenize || api == Api::kDetokenize || is_media(api);
  if (!optional) return nullptr;
  const Model* only = nullptr;
  for (const Model& model : view.models) {
    const bool served = std::ranges::any_of(model.endpoints, [&](EndpointId id) {
      const Endpoint* endpoint = view.endpoint(id);
      return endpoint != nullptr && endpoint->apis.contains(api);
    });
    if (!served) continue;
    if (only != nullptr) return nullptr;
    only = &model;
  }
  return only;
}

}  // namespace

Step<> Exchange::check_type() const {
  const auto type = http::find(parts.head.headers, http::HeaderName::kContentType);
  const auto refuse = [&](std::string_view wanted) {
    return stop({ErrorCode::kUnsupportedMediaType,
                 fmt::format("The body is announced as {}; this route takes {}.",
                             type.value_or("nothing"), wanted),
                 {}});
  };
  const BodyForm form = body_form(parts.api);
  if (form == BodyForm::kJson && type && !is_json_type(*type)) return refuse("application/json");
  if (form == BodyForm::kForm && !http::form_boundary(type.value_or(""))) {
    return refuse("multipart/form-data with a boundary");
  }
  return {};
}

Step<> Exchange::check_head() {
  if (auto typed = check_type(); !typed) return typed;
  if (parts.api == Api::kRealtime) {
    if (auto asked = http::check_websocket(parts.head); !asked) return stop(asked.error());
  }
  // A deadline of the client's is known from here on, and a wrong one is not worth a body.
  auto read = read_head_facts(parts.head.headers, parts.start.received);
  if (!read) return stop(std::move(read).error());
  head_facts_ = *read;
  const config::Settings& settings = parts.shard.settings;
  const Duration longest =
      is_media(parts.api) ? settings.media_total_timeout : settings.total_timeout;
  parts.waiter.total_deadline = std::min(head_facts_.deadline, parts.start.received + longest);
  const bool welcome = body.welcome();
  if (parts.head.expect_continue && !body.complete() && welcome) {
    parts.reply.send_continue();
  }
  return {};
}

// Enough to decide, or to refuse: a model that is not served needs no more of its body.
bool Exchange::may_decide() const {
  if (body.complete() || body.full()) return true;
  if (!reader->model_known()) return false;
  const Model* named = parts.shard.view->find_model(reader->model());
  if (named == nullptr) return true;
  if (parts.api == Api::kResponses) return false;  // what it refers to may stand at the end
  const RoutingPolicyObject& policy = route::policy_for(*parts.shard.view, *named);
  return reader->settled() || knows_enough(parts.head.headers, policy, *reader,
                                           parts.shard.settings.prompt_bytes_wanted);
}

port::Task<Step<>> Exchange::intake() {
  const config::Settings& settings = parts.shard.settings;
  parts.waiter.watch_client = false;
  parts.waiter.phase_deadline = parts.shard.loop.now() + settings.client_body_timeout;
  while (true) {
    const auto pumped = body.pump(parts.client, parts.shard.scratch, kIntakeAtOnce);
    if (!pumped) co_return stop(pumped.error());
    if (*pumped == RequestBody::Step::kClientGone) co_return client_left();
    if (may_decide()) break;
    if (body.more_at_hand(parts.client)) continue;
    if (*pumped == RequestBody::Step::kProgress) {
      parts.waiter.phase_deadline = parts.shard.loop.now() + settings.client_body_timeout;
    }
    const auto woken = co_await wait();
    if (!woken) co_return std::unexpected(woken.error());
    if (*woken == Wake::kPhaseDeadline) {
      co_return stop(body_timeout());
    }
  }
  intake_time = parts.shard.loop.now() - parts.start.received;
  facts = reader->facts();
  if (body.announced() > 0) facts.body_bytes = Bytes(static_cast<std::int64_t>(body.announced()));
  facts.deadline = head_facts_.deadline;
  facts.priority = head_facts_.priority.value_or(facts.priority);
  co_return Step<>{};
}

Error Exchange::no_model_named() const {
  std::string detail = "The body has no \"model\".";
  if (facts.api == Api::kRealtime) {
    detail = "The target has no model: connect to /v1/realtime?model=NAME.";
  } else if (body_form(facts.api) == BodyForm::kForm) {
    detail = body.complete() ? "The form has no part named model."
                             : fmt::format(
                                   "The first {} of the form have no part named model: put it "
                                   "before the file, or name it in the header x-infermesh-model.",
                                   format_size(parts.shard.settings.replay_bytes_max));
  }
  return {ErrorCode::kMissingRequiredParameter, std::move(detail), "model"};
}

// A form may name its model after it was routed without.
bool Exchange::names_another_model() const {
  if (reader->model_conflict()) return true;
  if (!model_guessed || !reader->model_known()) return false;
  const Model* named = view->find_model(reader->model());
  return named == nullptr || named->name != model->name;
}

Step<> Exchange::resolve_model() {
  if (facts.model.empty()) {
    const Model* only = only_model(*view, facts.api);
    if (only == nullptr) return stop(no_model_named());
    facts.model = only->name;
    model_guessed = true;
  }
  model = view->find_model(facts.model);
  if (model == nullptr) return stop(unknown_model(*view, facts.model));
  return facts.api == Api::kResponses ? pin_to_state() : Step<>{};
}

Step<> Exchange::resolve_stored() {
  const auto home = home_of(parts.shard, *view, nullptr, parts.response_id);
  const auto found = std::ranges::find_if(view->models, [&](const Model& served) {
    return home && std::ranges::find(served.endpoints, *home) != served.endpoints.end();
  });
  if (found == view->models.end()) return stop(response_not_found(parts.response_id, {}));
  model = &*found;
  facts.model = found->name;
  facts.pinned = home;
  return {};
}

// Only the engine that made an earlier answer can go on from it.
Step<> Exchange::pin_to_state() {
  const std::string_view previous = reader->previous_response();
  if (!previous.empty()) {
    facts.pinned = home_of(parts.shard, *view, model, previous);
    if (!facts.pinned) return stop(response_not_found(previous, "previous_response_id"));
  }
  const std::string_view stored = reader->stored_state_field();
  if (stored.empty() || facts.pinned || model->endpoints.size() < 2) return {};
  return stop({ErrorCode::kInvalidField,
               fmt::format("{} names what one engine keeps, and which of the {} engines of '{}' "
                           "that is cannot be known.",
                           stored, model->endpoints.size(), model->name),
               std::string(stored)});
}

Step<> Exchange::resolve() {
  view = parts.shard.view;
  auto resolved = facts.api == Api::kStoredResponse ? resolve_stored() : resolve_model();
  if (!resolved) return resolved;
  pool = &view->pools[model->pool.value];
  record.pool = pool->spec.name;
  facts.session_key = session_of(parts.head.headers, route::policy_for(*view, *model), *reader);
  auto blocks = std::exchange(facts.blocks, {});
  record.facts = facts;  // but for the blocks, which explain nothing
  facts.blocks = std::move(blocks);
  const Duration limit =
      is_media(facts.api) ? pool->spec.media_total_timeout : pool->spec.total_timeout;
  parts.waiter.total_deadline = std::min(facts.deadline, parts.start.received + limit);
  await_first_event();
  return {};
}

}  // namespace infermesh::data
