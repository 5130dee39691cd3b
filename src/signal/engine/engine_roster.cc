#include "signal/engine/engine_roster.h"

#include <algorithm>

namespace infermesh::signal {
namespace {

ProbeTarget probe_target(const EngineUrl& url, const std::string& api_key) {
  ProbeTarget target{url.host, url.port, url.authority, api_key, std::nullopt};
  if (url.scheme == Scheme::kHttps) target.tls.emplace();
  return target;
}

std::optional<ProbeTarget> other_address(const std::string& url, const std::string& api_key) {
  const auto address = parse_engine_url(url);
  if (url.empty() || !address) return std::nullopt;
  return probe_target(*address, api_key);
}

}  // namespace

WantedEngine wanted_engine(std::string name, const EngineUrl& url, std::optional<Runtime> runtime) {
  return {{std::move(name), probe_target(url, ""), runtime}, url.text(), place_of(url)};
}

std::optional<WantedEngine> wanted_engine(const EngineObject& engine, const ObjectSet& objects,
                                          const std::string& api_key) {
  const auto address = parse_engine_url(engine.url);
  if (!address) return std::nullopt;
  WantedEngine wanted = wanted_engine(engine.name, *address, parse_runtime(engine.runtime));
  EngineTarget& target = wanted.target;
  target.address.api_key = api_key;
  target.models = engine.models;
  target.metrics = other_address(engine.metrics_url, api_key);
  target.management = other_address(engine.management_url, api_key);
  const TlsOptions tls = engine.tls_options();
  if (target.address.tls) target.address.tls = tls;
  if (target.metrics && target.metrics->tls) target.metrics->tls = tls;
  if (target.management && target.management->tls) target.management->tls = tls;
  for (const RuntimeObject& runtime : objects.runtimes) {
    if (target.runtime || runtime.name != engine.runtime) continue;
    target.runtime = Runtime::kDescribed;
    target.described = runtime;
  }
  return wanted;
}

std::string place_of(const EngineUrl& url) {
  const bool loopback = url.host == "localhost" || url.host == "::1";
  return (loopback ? "127.0.0.1" : url.host) + " " + std::to_string(url.port);
}

EngineRoster::EngineRoster(port::Loop& loop, const PollSettings& poll,
                           health::HealthSettings health, PollSink& sink)
    : loop_(loop), poll_(poll), health_(health), sink_(sink) {}

EngineRecord EngineRoster::make_record(const WantedEngine& wanted, EngineRecord* before) {
  EngineRecord record{.url = wanted.url,
                      .place = wanted.place,
                      .found = std::nullopt,
                      .health = health::EndpointHealth(loop_.now(), health_),
                      .id = std::nullopt,
                      .cache_tokens = std::nullopt,
                      .poller = nullptr};
  if (before != nullptr) {
    record.found = std::move(before->found);
    record.health = std::move(before->health);
    record.drained = before->drained;
    record.cache_tokens = before->cache_tokens;
    before->poller.reset();
  }
  record.poller = std::make_unique<Poller>(loop_, wanted.target, poll_, sink_);
  return record;
}

RosterChange EngineRoster::set(const std::vector<WantedEngine>& wanted) {
  RosterChange change;
  std::map<std::string, EngineRecord, std::less<>> next;
  std::map<std::string, EngineRecord*> by_place;
  for (auto& [name, record] : records_) by_place.emplace(record.place, &record);
  for (const WantedEngine& engine : wanted) {
    const std::string& name = engine.target.name;
    if (next.contains(name)) continue;
    const auto same = records_.find(name);
    if (same == records_.end()) change.added.push_back(name);
    if (same != records_.end() && same->second.url == engine.url &&
        same->second.poller->target() == engine.target) {
      next.emplace(name, std::move(same->second));
      continue;
    }
    const auto before = by_place.find(engine.place);
    EngineRecord* known = before == by_place.end() ? nullptr : before->second;
    if (known != nullptr && known->poller == nullptr) known = nullptr;  // taken over already
    next.emplace(name, make_record(engine, known));
  }
  for (const auto& [name, record] : records_) {
    if (!next.contains(name)) change.gone.push_back(name);
  }
  records_ = std::move(next);
  return change;
}

EngineRecord* EngineRoster::find(std::string_view name) {
  const auto found = records_.find(name);
  return found == records_.end() ? nullptr : &found->second;
}

EngineRecord* EngineRoster::find(EndpointId id) {
  const auto name = names_by_id_.find(id);
  return name == names_by_id_.end() ? nullptr : find(name->second);
}

bool EngineRoster::knows_place(std::string_view place) const {
  return std::any_of(records_.begin(), records_.end(),
                     [&](const auto& entry) { return entry.second.place == place; });
}

std::vector<std::string> EngineRoster::names() const {
  std::vector<std::string> names;
  for (const auto& [name, record] : records_) names.push_back(name);
  return names;
}

std::vector<EngineFacts> EngineRoster::facts() const {
  std::vector<EngineFacts> all;
  all.reserve(records_.size());
  for (const auto& [name, record] : records_) {
    EngineFacts facts;
    facts.name = name;
    facts.url = record.url;
    facts.state = record.health.state();
    facts.reason = record.health.reason();
    facts.since = record.health.since();
    if (record.found) {
      facts.runtime = record.found->runtime;
      facts.version = record.found->version;
      facts.models = record.found->models;
      facts.concurrency_max = record.found->concurrency_max;
    }
    all.push_back(std::move(facts));
  }
  return all;
}

void EngineRoster::take_ids(const MeshView& view) {
  names_by_id_.clear();
  for (auto& [name, record] : records_) record.id.reset();
  for (const auto& endpoint : view.endpoints) {
    if (!endpoint) continue;
    EngineRecord* record = find(endpoint->name);
    if (record == nullptr) continue;
    record->id = endpoint->id;
    names_by_id_.emplace(endpoint->id, endpoint->name);
  }
}

}  // namespace infermesh::signal
