// PollTask: the coroutine behind a Poller, kept alive by itself while it is suspended. Internal to
// this folder.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "port/wakeup.h"
#include "signal/engine/http_probe.h"
#include "signal/engine/poll_pace.h"
#include "signal/engine/poller.h"
#include "wire/engine/adapter.h"

namespace infermesh::signal {

class PollTask {
 public:
  PollTask(port::Loop& loop, const EngineTarget& target, const PollSettings& settings,
           PollSink& sink);

  static port::Task<void> run(std::shared_ptr<PollTask> self);
  void stop();
  void nudge() { wake_.set(); }

 private:
  port::Task<void> round();
  port::Task<void> pause();
  port::Task<void> find_runtime();
  port::Task<void> read_health();
  port::Task<void> read_load();
  port::Task<void> read_identity();
  port::Task<void> read_models();
  port::Task<ProbeAnswer> get(std::string_view path);

  bool health_due() const;
  void tell_probe(ProbeOutcome outcome, const std::string& reason);
  void tell_facts();
  void take_reading(engines::LoadReading reading, const std::string& process_start);
  void miss_read();
  void note_failed_round();
  void expect_new_process();

  port::Loop& loop_;
  std::string name_;
  std::optional<Runtime> configured_;
  PollSettings settings_;
  PollSink* sink_;  // null once stopped
  HttpProbe probe_;
  Rng rng_;
  port::Wakeup wake_;
  port::Timer timer_;

  const engines::Adapter* adapter_ = nullptr;  // null while the runtime is not known
  EngineFound found_;
  bool found_changed_ = false;
  bool ready_ = false;
  std::string key_refusal_;  // why its model list cannot be read, while it is so
  Activity activity_ = Activity::kNotReady;
  PollPace pace_;
  RestartWatch restart_;
  EngineReport last_report_;
  std::size_t load_path_ = 0;  // into adapter_->load_paths; its size: none works
  int missed_reads_ = 0;
  int confirmations_left_ = 0;  // good health checks in a row that are wanted soon
  int failed_rounds_ = 0;
  Instant health_due_{};
  Instant load_paths_due_{};
  Instant models_due_{};
  bool identity_due_ = true;
};

}  // namespace infermesh::signal
