// PollPace: how long to wait before looking at an engine again. Short while it works or its figures
// change, growing to the longest while it is idle; jittered, so that many engines are not asked in
// step. And RestartWatch: whether the process behind an address is another one than before. Values
// of one poller.
#pragma once

#include <optional>
#include <string>

#include "base/rng.h"
#include "base/time.h"
#include "wire/engine/adapter.h"

namespace infermesh::signal {

enum class Activity : std::uint8_t { kIdle, kActive, kNotReady };

class PollPace {
 public:
  PollPace(Duration shortest, Duration longest) : shortest_(shortest), longest_(longest) {}

  Duration next(Activity activity, Rng& rng);

 private:
  Duration shortest_;
  Duration longest_;
  Duration current_{0};
  Activity last_ = Activity::kActive;
};

// Whether an engine does something now, or did since the reading before.
bool is_active(const EngineReport& report, const EngineReport& before);

class RestartWatch {
 public:
  // Notes a reading; true when it comes from a new process. `process_start` is the header of that
  // name, may be empty.
  bool restarted(const engines::LoadReading& reading, const std::string& process_start);

 private:
  std::optional<double> started_at_;
  std::optional<std::uint64_t> work_done_;
  std::string process_start_;
};

}  // namespace infermesh::signal
