// Poller: watches one engine: finds out what it is, then reads its health, load and model list
// again and again over one connection (one more where metrics or management have a port of their
// own), and tells a sink what it saw. Lives on the signal loop;
// stops when destroyed, and calls nobody after that.
//
// Pace: PollPace between settings.interval_min and interval_max for load; health every second
// (every 5 s, and only while idle, where a health check costs a generated token), and closely while
// an engine fails or has just come back; models and identity every models_interval and after a
// restart. Two missed reads in a row make the load unknown, not the engine dead. Three failed
// rounds let a runtime that was found by probing be found anew.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/model/api.h"
#include "core/model/load_table.h"
#include "core/model/mesh_view.h"
#include "core/model/runtime_object.h"
#include "port/loop.h"
#include "signal/engine/http_probe.h"

namespace infermesh::signal {

struct PollSettings {
  Duration interval_min = 100ms;
  Duration interval_max = 2s;
  Duration timeout = 2s;  // of one GET
  Duration models_interval = 5s;
};

struct EngineTarget {
  std::string name;
  ProbeTarget address;
  std::optional<Runtime> runtime;            // as configured; probed when absent
  std::optional<RuntimeObject> described{};  // how to read it, with runtime kDescribed
  std::vector<std::string> models{};         // the names that its object gives
  // Where its metrics and management are; when absent, where its runtime has them by default.
  std::optional<ProbeTarget> metrics{};
  std::optional<ProbeTarget> management{};
  bool operator==(const EngineTarget&) const = default;
};

// What an engine is, as far as it has told.
struct EngineFound {
  Runtime runtime = Runtime::kOpenai;
  std::string product;  // for people: "vllm", "ollama"
  std::string version;
  std::optional<std::vector<ServedModel>> models;  // absent: not told yet
  std::optional<std::uint32_t> concurrency_max;
};

enum class ProbeOutcome : std::uint8_t {
  kReady,
  kLoading,  // answers, and will take requests later
  kFailing,  // answers, and cannot take requests
  kRefused,  // nobody listens
  kMissed,   // no answer in time
};

enum class LoadRead : std::uint8_t { kOk, kFailed };

class PollSink {
 public:
  virtual ~PollSink() = default;
  virtual void on_probe(const std::string& engine, ProbeOutcome outcome,
                        const std::string& reason) = 0;
  virtual void on_load_read(const std::string& engine, LoadRead result) = 0;
  virtual void on_report(const std::string& engine, const EngineReport& report) = 0;
  virtual void on_facts(const std::string& engine, const EngineFound& found) = 0;
  virtual void on_restarted(const std::string& engine) = 0;  // its caches are empty
};

class PollTask;

class Poller {
 public:
  // `loop` and `sink` are borrowed and outlive it.
  Poller(port::Loop& loop, EngineTarget target, const PollSettings& settings, PollSink& sink);
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  void nudge();  // looks now instead of at the end of the pause
  const EngineTarget& target() const { return target_; }

 private:
  EngineTarget target_;
  std::shared_ptr<PollTask> task_;
};

}  // namespace infermesh::signal
