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
  port::Task<ProbeAnswer> ask(const engines::Page& page, std::string_view model);

  struct HealthLook {
    ProbeAnswer answer;
    engines::HealthVerdict verdict;
  };
  port::Task<HealthLook> look_at_health();
  struct LoadLook {
    ProbeFailure failure = ProbeFailure::kNone;
    std::string process_start;
    std::optional<engines::LoadReading> reading;
  };
  port::Task<LoadLook> look_at_load(const engines::Page& page);
  port::Task<void> ask_for_each_model();

  void use_adapter(const engines::Adapter& adapter);
  std::optional<ProbeTarget> default_port(std::uint16_t port) const;
  std::vector<std::string> names_for(const engines::Page& page) const;
  void refuse_models(std::string why);
  void take_models(std::vector<ServedModel> models);
  bool health_due() const;
  void tell_probe(ProbeOutcome outcome, const std::string& reason);
  void tell_facts();
  void take_reading(engines::LoadReading reading, const std::string& process_start);
  void miss_read();
  void note_failed_round();
  void expect_new_process();

  port::Loop& loop_;
  EngineTarget target_;
  PollSettings settings_;
  PollSink* sink_;  // null once stopped
  HttpProbe probe_;
  std::optional<HttpProbe> metrics_;     // absent: they are on the engine's own port
  std::optional<HttpProbe> management_;  // the same
  Rng rng_;
  port::Wakeup wake_;
  port::Timer timer_;

  std::unique_ptr<const engines::Adapter> described_;  // of target_.described
  const engines::Adapter* adapter_ = nullptr;          // null while the runtime is not known
  EngineFound found_;
  bool found_changed_ = false;
  bool ready_ = false;
  std::string models_refusal_;  // why its models cannot be known, while it is so
  Activity activity_ = Activity::kNotReady;
  PollPace pace_;
  RestartWatch restart_;
  EngineReport last_report_;
  std::size_t load_page_ = 0;  // into adapter_->load; its size: none works
  int missed_reads_ = 0;
  int confirmations_left_ = 0;  // good health checks in a row that are wanted soon
  int failed_rounds_ = 0;
  Instant health_due_{};
  Instant load_pages_due_{};
  Instant models_due_{};
  bool identity_due_ = true;
};

}  // namespace infermesh::signal
