#include "signal/engine/mesh_keeper.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "core/model/engine_url.h"

namespace infermesh::signal {
namespace {

constexpr Duration kPublishGap = 20ms;    // between two views
constexpr Duration kReasonDelay = 1s;     // a reason's wording alone is no hurry
constexpr Duration kStepDelay = 20ms;     // outcomes gathered before the ejector looks at them
constexpr Duration kShortestDelay = 1ms;  // a deadline that has passed already

health::ProbeVerdict verdict_of(ProbeOutcome outcome) {
  switch (outcome) {
    case ProbeOutcome::kReady:
      return health::ProbeVerdict::kHealthy;
    case ProbeOutcome::kLoading:
      return health::ProbeVerdict::kLoading;
    default:
      return health::ProbeVerdict::kFailed;
  }
}

bool can_serve(const MeshView& view) {
  return std::ranges::any_of(view.endpoints, [](const std::optional<Endpoint>& endpoint) {
    return endpoint && endpoint->state == EndpointState::kReady;
  });
}

}  // namespace

MeshKeeper::MeshKeeper(port::Loop& loop, KeeperSettings settings, LoadTable& load, MeshSink& sink,
                       ReadKey read_key)
    : loop_(loop),
      settings_(std::move(settings)),
      load_(load),
      sink_(sink),
      read_key_(std::move(read_key)),
      rng_(loop.entropy()),
      roster_(loop, settings_.poll, settings_.health, *this),
      ejector_(settings_.ejector),
      timer_([this] { tick(); }),
      traffic_timer_([this] { watch_traffic(); }) {}

MeshKeeper::~MeshKeeper() {
  roster_.stop();
}

void MeshKeeper::start() {
  publish();
  watch_traffic();
}

// Objects and engines.

std::map<std::string, std::string> MeshKeeper::keys_of(const ObjectSet& objects) const {
  std::map<std::string, std::string> keys;
  for (const EngineObject& engine : objects.engines) {
    if (!engine.api_key_env.empty() && read_key_) {
      keys[engine.api_key_env] = read_key_(engine.api_key_env);
    }
  }
  return keys;
}

TopologyInput MeshKeeper::topology_input(const ObjectSet& objects,
                                         const std::vector<EngineFacts>& facts) const {
  return {.objects = objects,
          .found = facts,
          .ejections = ejections_,
          .pool_default = settings_.pool_default,
          .policy_default = settings_.policy_default,
          .api_keys = api_keys_,
          .generation = generation_ + 1,
          .now = loop_.now(),
          .wall_now = loop_.wall_now()};
}

Result<void> MeshKeeper::set_objects(ObjectSet objects) {
  const auto facts = roster_.facts();
  TopologyMemory trial = memory_;
  const auto built = build_view(topology_input(objects, facts), trial);
  if (!built) {
    tell(EventKind::kObjectsRefused, "",
         fmt::format("the objects are refused, those before stay: {}", built.error().detail));
    return std::unexpected(built.error());
  }
  objects_ = std::move(objects);
  api_keys_ = keys_of(objects_);
  tell(EventKind::kObjectsTaken, "",
       fmt::format("objects taken: {} engines, {} pools, {} models, {} policies",
                   objects_.engines.size(), objects_.pools.size(), objects_.models.size(),
                   objects_.policies.size()));
  watch_engines();
  return {};
}

Result<void> MeshKeeper::add_engine(std::string name, std::string_view url,
                                    std::optional<Runtime> runtime, Origin origin) {
  const auto address = parse_engine_url(url);
  if (!address) return std::unexpected(address.error());
  if (roster_.knows_place(place_of(*address))) {
    return fail(ErrorCode::kConflict, fmt::format("an engine at {} is known", address->text()));
  }
  if (roster_.find(name) != nullptr) {
    return fail(ErrorCode::kConflict, fmt::format("an engine named \"{}\" is known", name));
  }
  if (found_.size() >= kFoundMax) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("{} engines were found already, which is the limit", kFoundMax));
  }
  WantedEngine engine = wanted_engine(name, *address, runtime);
  found_.emplace(std::move(name), FoundEngine{std::move(engine), origin});
  watch_engines();
  return {};
}

bool MeshKeeper::knows(std::string_view url) const {
  const auto address = parse_engine_url(url);
  return address && roster_.knows_place(place_of(*address));
}

std::vector<WantedEngine> MeshKeeper::wanted_engines() const {
  std::vector<WantedEngine> wanted;
  std::set<std::string> places;
  for (const EngineObject& engine : objects_.engines) {
    const auto key = api_keys_.find(engine.api_key_env);
    auto watched = wanted_engine(engine, objects_, key == api_keys_.end() ? "" : key->second);
    if (!watched) continue;  // build_view has refused such objects
    places.insert(watched->place);
    wanted.push_back(std::move(*watched));
  }
  for (const auto& [name, engine] : found_) {
    if (!places.contains(engine.wanted.place)) wanted.push_back(engine.wanted);
  }
  return wanted;
}

void MeshKeeper::watch_engines() {
  const RosterChange change = roster_.set(wanted_engines());
  for (const std::string& name : change.gone) {
    tell(EventKind::kEngineGone, name, fmt::format("engine {} is no longer watched", name));
  }
  for (const std::string& name : change.added) {
    tell(EventKind::kEngineAdded, name,
         fmt::format("engine {} at {} is watched", name, roster_.find(name)->url));
  }
  forget_due_ = std::min(forget_due_, loop_.now() + settings_.forget_after);
  changed(Urgency::kNow);
}

// What pollers and shards saw.

void MeshKeeper::change_health(const std::string& name, EngineRecord& record,
                               const std::function<void(Instant)>& change) {
  const EndpointState before = record.health.state();
  const std::string reason_before = record.health.reason();
  change(loop_.now());
  const EndpointState after = record.health.state();
  if (after == before) {
    if (record.health.reason() != reason_before) changed(Urgency::kSoon);
    return;
  }
  const std::string& reason = record.health.reason();
  tell(EventKind::kEngineState, name,
       reason.empty() ? fmt::format("engine {} is {}", name, to_string(after))
                      : fmt::format("engine {} is {}: {}", name, to_string(after), reason));
  if (after == EndpointState::kDown) {
    forget_due_ = std::min(forget_due_, loop_.now() + settings_.forget_after);
  }
  // What was down may have come back with an empty cache.
  if (before == EndpointState::kDown && after != EndpointState::kDown) lose_cache(record);
  changed(Urgency::kNow);
}

void MeshKeeper::on_probe(const std::string& engine, ProbeOutcome outcome,
                          const std::string& reason) {
  EngineRecord* record = roster_.find(engine);
  if (record == nullptr) return;
  change_health(engine, *record,
                [&](Instant now) { record->health.on_probe(now, verdict_of(outcome), reason); });
}

void MeshKeeper::on_report(const std::string& engine, const EngineReport& report) {
  EngineRecord* record = roster_.find(engine);
  if (record == nullptr) return;
  record->reported_at = loop_.now();
  if (record->id) load_.report(*record->id, report);
  if (!report.kv_tokens_total || report.kv_tokens_total == record->cache_tokens) return;
  record->cache_tokens = report.kv_tokens_total;
  if (record->id) sink_.on_cache_size(*record->id, *record->cache_tokens);
}

void MeshKeeper::on_facts(const std::string& engine, const EngineFound& found) {
  EngineRecord* record = roster_.find(engine);
  if (record == nullptr) return;
  record->found = found;
  changed(Urgency::kNow);
}

void MeshKeeper::on_restarted(const std::string& engine) {
  const EngineRecord* record = roster_.find(engine);
  if (record == nullptr) return;
  tell(EventKind::kEngineRestarted, engine,
       fmt::format("engine {} has restarted; its cache counts as empty", engine));
  lose_cache(*record);
}

void MeshKeeper::lose_cache(const EngineRecord& record) {
  if (record.id) sink_.on_cache_lost(*record.id);
}

void MeshKeeper::on_outcome(const Outcome& outcome) {
  EngineRecord* record = roster_.find(outcome.endpoint);
  if (record == nullptr) return;  // the engine has gone since
  const Instant now = loop_.now();
  ejector_.on_outcome(now, outcome, rng_);
  const std::string name = record->poller->target().name;
  change_health(name, *record, [&](Instant at) { record->health.on_outcome(at, outcome); });
  if (is_failure(outcome.kind) || outcome.trial) {
    step_due_ = std::min(step_due_, now + kStepDelay);
  }
  const bool unanswered =
      outcome.kind == OutcomeKind::kConnectFailed || outcome.kind == OutcomeKind::kReset;
  if (unanswered) nudge(*record);
  plan();
}

void MeshKeeper::nudge(EngineRecord& record) {
  const Instant now = loop_.now();
  if (now - record.nudged_at < settings_.poll.interval_min) return;
  record.nudged_at = now;
  record.poller->nudge();
}

// A poller that pauses because its engine was idle does not see that requests are on their way.
void MeshKeeper::watch_traffic() {
  const Instant now = loop_.now();
  for (auto& [name, record] : roster_.records()) {
    if (!record.id || now - record.reported_at < 2 * settings_.poll.interval_min) continue;
    if (load_.at(*record.id).in_flight.load(std::memory_order_relaxed) > 0) nudge(record);
  }
  loop_.arm(traffic_timer_, now + settings_.poll.interval_min);
}

// A discovered engine that has gone leaves the picture; discovery brings it back.
void MeshKeeper::forget_gone() {
  const Instant now = loop_.now();
  forget_due_ = kNever;
  const std::size_t before = found_.size();
  std::erase_if(found_, [&](const auto& entry) {
    const auto& [name, engine] = entry;
    const EngineRecord* record = roster_.find(name);
    if (engine.origin == Origin::kNamed || record == nullptr ||
        record->place != engine.wanted.place || record->health.state() != EndpointState::kDown) {
      return false;
    }
    const Instant due = record->health.since() + settings_.forget_after;
    if (due > now) {
      forget_due_ = std::min(forget_due_, due);
      return false;
    }
    tell(EventKind::kNote, name,
         fmt::format("engine {} is forgotten until it is found again: {}", name,
                     record->health.reason()));
    return true;
  });
  if (found_.size() != before) watch_engines();
}

// Draining.

Result<DrainResult> MeshKeeper::drain(std::string_view engine) {
  return change_drain(engine, DrainVerb::kDrain);
}

Result<DrainResult> MeshKeeper::undrain(std::string_view engine) {
  return change_drain(engine, DrainVerb::kUndrain);
}

Result<DrainResult> MeshKeeper::change_drain(std::string_view engine, DrainVerb verb) {
  EngineRecord* record = roster_.find(engine);
  if (record == nullptr) {
    const auto near = nearest(engine, roster_.names(), 3);
    return fail(ErrorCode::kNotFound, near.empty()
                                          ? fmt::format("there is no engine \"{}\"", engine)
                                          : fmt::format("there is no engine \"{}\"; nearest: {}",
                                                        engine, fmt::join(near, ", ")));
  }
  const bool drained = verb == DrainVerb::kDrain;
  if (record->drained == drained) return DrainResult::kAlready;
  record->drained = drained;
  change_health(std::string(engine), *record, [&](Instant now) {
    drained ? record->health.drain(now) : record->health.undrain(now);
  });
  return DrainResult::kChanged;
}

// Publishing.

void MeshKeeper::tell(EventKind kind, std::string engine, std::string text) {
  MeshEvent event{loop_.wall_now(), kind, std::move(engine), std::move(text)};
  sink_.on_event(event);
  events_.add(std::move(event));
}

void MeshKeeper::tell_notes(const std::vector<std::string>& notes) {
  for (const std::string& note : notes) {
    const bool told = std::find(notes_told_.begin(), notes_told_.end(), note) != notes_told_.end();
    if (!told) tell(EventKind::kNote, "", note);
  }
  notes_told_ = notes;
}

void MeshKeeper::changed(Urgency urgency) {
  const Instant now = loop_.now();
  // Who waits for the first engine does not wait for a gap.
  const Duration gap = view_ && can_serve(*view_) ? kPublishGap : Duration::zero();
  const Instant due =
      urgency == Urgency::kNow ? std::max(now, published_at_ + gap) : now + kReasonDelay;
  publish_due_ = std::min(publish_due_, due);
  plan();
}

void MeshKeeper::plan() {
  if (!view_) return;  // start() has not been called
  const Instant earliest = loop_.now() + kShortestDelay;
  const Instant ejector = ejector_.next_deadline();
  const Instant step =
      std::min(step_due_, ejector == kNever ? kNever : std::max(ejector, earliest));
  loop_.arm(timer_, std::min({publish_due_, step, forget_due_}));
}

void MeshKeeper::tick() {
  const Instant now = loop_.now();
  if (step_due_ <= now || ejector_.next_deadline() <= now) step_ejector();
  if (forget_due_ <= now) forget_gone();
  if (publish_due_ <= now) publish();
  plan();
}

void MeshKeeper::publish() {
  publish_due_ = kNever;
  published_at_ = loop_.now();
  const auto facts = roster_.facts();
  auto built = build_view(topology_input(objects_, facts), memory_);
  if (!built) {
    // Objects are tried before they are taken, so this is a limit that what engines serve went
    // over.
    tell_notes({fmt::format("the view before stays: {}", built.error().detail)});
    if (view_) return;
    built.emplace();
  }
  ++generation_;
  take_fresh_ids(built->fresh);
  view_ = std::make_shared<const MeshView>(std::move(built->view));
  roster_.take_ids(*view_);
  for (const EndpointId id : built->fresh) {
    const EngineRecord* record = roster_.find(id);
    if (record != nullptr && record->cache_tokens) {
      sink_.on_cache_size(id, *record->cache_tokens);
    }
  }
  tell_notes(built->notes);
  sink_.on_view(view_);
  step_ejector();  // who serves a model, and who is ready, bounds what may be ejected
  plan();
}

void MeshKeeper::take_fresh_ids(const std::vector<EndpointId>& fresh) {
  for (const EndpointId id : fresh) {
    load_.reset(id);
    ejector_.forget(id);
    sink_.on_cache_lost(id);
  }
}

void MeshKeeper::step_ejector() {
  step_due_ = kNever;
  if (!ejector_.step(loop_.now(), *view_)) return;
  ejections_.clear();
  for (const Ejection& ejection : ejector_.ejections()) {
    const Endpoint* endpoint = view_->endpoint(ejection.endpoint);
    if (endpoint == nullptr || ejection.model.value >= view_->models.size()) continue;
    ejections_.push_back({endpoint->name, view_->models[ejection.model.value].name, ejection.until,
                          ejection.half_open, ejection.reason, ejection.since});
  }
  changed(Urgency::kNow);
}

}  // namespace infermesh::signal
