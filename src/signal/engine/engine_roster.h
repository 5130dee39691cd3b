// EngineRoster: the engines that are watched, by name: what each was found to be, its health
// machine, and the poller that feeds both. Owned by the mesh keeper, on the signal loop. Ids come
// from the view, so an engine has none before it was in one.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "core/health/endpoint_health.h"
#include "core/model/engine_url.h"
#include "core/model/topology.h"
#include "port/loop.h"
#include "signal/engine/poller.h"

namespace infermesh::signal {

struct EngineRecord {
  std::string url;                   // as parse_engine_url writes it
  std::string place;                 // place_of(url)
  std::optional<EngineFound> found;  // absent: it has not told anything yet
  health::EndpointHealth health;
  bool drained = false;  // by the operator's verb, over what its object says
  std::optional<EndpointId> id;
  std::optional<Tokens> cache_tokens;  // size of its KV cache, when it tells
  Instant nudged_at{};
  Instant reported_at{};
  std::unique_ptr<Poller> poller;
};

// An engine that there should be.
struct WantedEngine {
  EngineTarget target;
  std::string url;
  std::string place;
};

// Of an object, with `objects` for what it names; nullopt when its URL cannot be read.
std::optional<WantedEngine> wanted_engine(const EngineObject& engine, const ObjectSet& objects,
                                          const std::string& api_key);
WantedEngine wanted_engine(std::string name, const EngineUrl& url, std::optional<Runtime> runtime);

// What tells two addresses apart: a URL with the names of this machine's loopback made one.
std::string place_of(const EngineUrl& url);

struct RosterChange {
  std::vector<std::string> added;
  std::vector<std::string> gone;
};

class EngineRoster {
 public:
  // `loop` and `sink` are borrowed and outlive it.
  EngineRoster(port::Loop& loop, const PollSettings& poll, health::HealthSettings health,
               PollSink& sink);

  // Starts and stops pollers so that exactly these are watched. What is known of an address stays
  // when the engine there goes on under another name or with other settings.
  RosterChange set(const std::vector<WantedEngine>& wanted);

  EngineRecord* find(std::string_view name);
  EngineRecord* find(EndpointId id);
  std::map<std::string, EngineRecord, std::less<>>& records() { return records_; }
  bool knows_place(std::string_view place) const;  // as place_of() gives it
  std::vector<EngineFacts> facts() const;
  std::vector<std::string> names() const;
  std::size_t size() const { return records_.size(); }

  void take_ids(const MeshView& view);
  void stop() { records_.clear(); }

 private:
  EngineRecord make_record(const WantedEngine& wanted, EngineRecord* before);

  port::Loop& loop_;
  PollSettings poll_;
  health::HealthSettings health_;
  PollSink& sink_;
  std::map<std::string, EngineRecord, std::less<>> records_;
  std::map<EndpointId, std::string> names_by_id_;
};

}  // namespace infermesh::signal
