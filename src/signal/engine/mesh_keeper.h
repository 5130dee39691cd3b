// MeshKeeper: the heart of the signal plane. It holds the mesh objects in force, watches the
// engines they name and those that were found, runs the health machines, and publishes a MeshView
// whenever objects, facts or health change: the first at once, later ones at most every 20 ms. One
// object, on the signal loop; all calls on that loop.
//
// It writes what engines report into the LoadTable, resets the cells of ids that are new, and tells
// its sink whose cache is lost. Objects are taken whole or refused whole. Limits: kEndpointsMax
// engines, kFoundMax of them found by discovery; MeshEvents::kKeptMax events.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "core/health/ejector.h"
#include "core/model/load_table.h"
#include "core/model/topology.h"
#include "port/loop.h"
#include "signal/engine/engine_roster.h"
#include "signal/engine/keeper_settings.h"
#include "signal/engine/mesh_events.h"

namespace infermesh::signal {

class MeshKeeper final : private PollSink {
 public:
  static constexpr std::size_t kFoundMax = 256;
  using ReadKey = std::function<std::string(const std::string& variable)>;

  // `loop`, `load` and `sink` are borrowed and outlive it. `read_key` gives an environment
  // variable's value, or nothing.
  MeshKeeper(port::Loop& loop, KeeperSettings settings, LoadTable& load, MeshSink& sink,
             ReadKey read_key = {});
  ~MeshKeeper() override;

  void start();  // publishes the first view

  Result<void> set_objects(ObjectSet objects);
  // An engine without an object: named on the command line, or discovered, which is forgotten when
  // it is gone. kConflict: the name or address is known; kInvalidConfig: not a URL; kUnavailable:
  // too many.
  Result<void> add_engine(std::string name, std::string_view url,
                          std::optional<Runtime> runtime = {}, Origin origin = Origin::kNamed);
  bool knows(std::string_view url) const;   // some engine has this address
  void on_outcome(const Outcome& outcome);  // of any shard, posted to this loop

  // kNotFound names the nearest.
  Result<DrainResult> drain(std::string_view engine);
  Result<DrainResult> undrain(std::string_view engine);

  MeshViewPtr view() const { return view_; }  // never null after start()
  const MeshEvents& events() const { return events_; }

 private:
  enum class Urgency : std::uint8_t { kNow, kSoon };
  enum class DrainVerb : std::uint8_t { kDrain, kUndrain };
  void on_probe(const std::string& engine, ProbeOutcome outcome,
                const std::string& reason) override;
  void on_load_read(const std::string& engine, LoadRead result) override {
    sink_.on_load_read(engine, result);
  }
  void on_report(const std::string& engine, const EngineReport& report) override;
  void on_facts(const std::string& engine, const EngineFound& found) override;
  void on_restarted(const std::string& engine) override;

  void watch_engines();
  std::vector<WantedEngine> wanted_engines() const;
  TopologyInput topology_input(const ObjectSet& objects,
                               const std::vector<EngineFacts>& facts) const;
  std::map<std::string, std::string> keys_of(const ObjectSet& objects) const;
  void change_health(const std::string& name, EngineRecord& record,
                     const std::function<void(Instant)>& change);
  Result<DrainResult> change_drain(std::string_view engine, DrainVerb verb);
  void lose_cache(const EngineRecord& record);
  void tell(EventKind kind, std::string engine, std::string text);
  void tell_notes(const std::vector<std::string>& notes);

  void nudge(EngineRecord& record);
  void watch_traffic();  // looks at engines that took requests since they were last looked at
  void changed(Urgency urgency);
  void plan();
  void tick();
  void publish();
  void take_fresh_ids(const std::vector<EndpointId>& fresh);
  void step_ejector();
  void forget_gone();

  port::Loop& loop_;
  KeeperSettings settings_;
  LoadTable& load_;
  MeshSink& sink_;
  ReadKey read_key_;
  Rng rng_;
  ObjectSet objects_;
  std::map<std::string, std::string> api_keys_;
  struct FoundEngine {
    WantedEngine wanted;
    Origin origin;
  };
  std::map<std::string, FoundEngine> found_;  // engines without an object, by name
  EngineRoster roster_;
  health::Ejector ejector_;
  std::vector<EjectionFact> ejections_;
  TopologyMemory memory_;
  MeshViewPtr view_;
  std::uint64_t generation_ = 0;
  MeshEvents events_;
  std::vector<std::string> notes_told_;
  port::Timer timer_;
  port::Timer traffic_timer_;
  Instant published_at_{};
  Instant publish_due_ = kNever;
  Instant step_due_ = kNever;
  Instant forget_due_ = kNever;
};

}  // namespace infermesh::signal
