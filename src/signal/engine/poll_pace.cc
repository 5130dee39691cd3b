#include "signal/engine/poll_pace.h"

#include <algorithm>
#include <cmath>

namespace infermesh::signal {
namespace {

constexpr double kGrowth = 1.5;
constexpr double kJitter = 0.2;            // either way
constexpr Duration kNotReadyLongest = 1s;  // who waits for an engine to come up wants to know soon
constexpr double kStartToleranceSeconds =
    1.0;  // clocks that engines compute their start from may be adjusted

}  // namespace

Duration PollPace::next(Activity activity, Rng& rng) {
  const Duration longest =
      activity == Activity::kNotReady ? std::min(longest_, kNotReadyLongest) : longest_;
  // An engine that has just failed or come back is looked at closely.
  const bool turned = (activity == Activity::kNotReady) != (last_ == Activity::kNotReady);
  last_ = activity;
  if (activity == Activity::kActive || turned || current_ < shortest_) {
    current_ = shortest_;
  } else {
    current_ = from_seconds(to_seconds(current_) * kGrowth);
  }
  current_ = std::min(current_, std::max(longest, shortest_));
  const double spread = 1.0 + kJitter * (2.0 * rng.unit() - 1.0);
  return from_seconds(to_seconds(current_) * spread);
}

bool is_active(const EngineReport& report, const EngineReport& before) {
  return report.running.value_or(0) > 0 || report.waiting.value_or(0) > 0 ||
         report.prompt_tokens != before.prompt_tokens ||
         report.generation_tokens != before.generation_tokens || report.kv_used != before.kv_used;
}

bool RestartWatch::restarted(const engines::LoadReading& reading,
                             const std::string& process_start) {
  const bool other_start = started_at_ && reading.started_at &&
                           std::abs(*started_at_ - *reading.started_at) > kStartToleranceSeconds;
  const bool went_back = work_done_ && reading.work_done && *reading.work_done < *work_done_;
  const bool other_header =
      !process_start_.empty() && !process_start.empty() && process_start != process_start_;
  if (reading.started_at) started_at_ = reading.started_at;
  if (reading.work_done) work_done_ = reading.work_done;
  if (!process_start.empty()) process_start_ = process_start;
  return other_start || went_back || other_header;
}

}  // namespace infermesh::signal
