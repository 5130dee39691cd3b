#include "signal/engine/poll_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "wire/engine/detect.h"

namespace infermesh::signal {
namespace {

using engines::HealthCost;

constexpr Duration kHealthInterval = 1s;
constexpr Duration kCostlyHealthInterval = 5s;
constexpr int kFailedRoundsMax = 3;
constexpr int kConfirmations = 2;  // further good checks after the first, before one is believed
constexpr int kMissedReadsMax = 2;

ProbeOutcome outcome_of(const ProbeAnswer& answer, engines::Health health) {
  if (answer.failure == ProbeFailure::kMissed) return ProbeOutcome::kMissed;
  if (answer.failure == ProbeFailure::kRefused) return ProbeOutcome::kRefused;
  switch (health) {
    case engines::Health::kReady:
      return ProbeOutcome::kReady;
    case engines::Health::kLoading:
      return ProbeOutcome::kLoading;
    case engines::Health::kFailing:
      break;
  }
  return ProbeOutcome::kFailing;
}

}  // namespace

PollTask::PollTask(port::Loop& loop, const EngineTarget& target, const PollSettings& settings,
                   PollSink& sink)
    : loop_(loop),
      name_(target.name),
      configured_(target.runtime),
      settings_(settings),
      sink_(&sink),
      probe_(loop, target.address),
      rng_(loop.entropy()),
      timer_([this] { wake_.set(); }),
      pace_(settings.interval_min, settings.interval_max) {}

port::Task<void> PollTask::run(std::shared_ptr<PollTask> self) {
  while (self->sink_ != nullptr) {
    co_await self->round();
    if (self->sink_ != nullptr) co_await self->pause();
  }
}

void PollTask::stop() {
  sink_ = nullptr;
  probe_.cancel();
  wake_.set();
}

port::Task<void> PollTask::pause() {
  loop_.arm(timer_, loop_.now() + pace_.next(activity_, rng_));
  co_await wake_.wait();
  loop_.arm(timer_, kNever);
}

port::Task<ProbeAnswer> PollTask::get(std::string_view path) {
  return probe_.get(std::string(path), settings_.timeout);
}

port::Task<void> PollTask::round() {
  if (adapter_ == nullptr) co_await find_runtime();
  if (sink_ != nullptr && adapter_ != nullptr && health_due()) co_await read_health();
  if (sink_ != nullptr && ready_) co_await read_load();
  if (sink_ != nullptr && ready_ && identity_due_) co_await read_identity();
  if (sink_ != nullptr && ready_ && loop_.now() >= models_due_) co_await read_models();
  if (sink_ == nullptr) co_return;
  if (found_changed_) tell_facts();
  if (!ready_) activity_ = Activity::kNotReady;
  if (ready_ && confirmations_left_ > 0) activity_ = Activity::kActive;
}

port::Task<void> PollTask::find_runtime() {
  if (configured_) {
    adapter_ = &engines::adapter_of(*configured_);
    found_.runtime = *configured_;
    found_.product = std::string(to_string(*configured_));
    found_changed_ = true;
    co_return;
  }
  engines::Detection detection;
  ProbeAnswer answer;
  while (!detection.decided()) {
    answer = co_await get(detection.next_path());
    if (sink_ == nullptr) co_return;
    detection.on_answer(answer.view());
  }
  const engines::Finding& finding = detection.finding();
  if (finding.kind == engines::FindingKind::kNothing) {
    co_return tell_probe(outcome_of(answer, engines::Health::kFailing), answer.detail);
  }
  if (finding.kind != engines::FindingKind::kEngine &&
      finding.kind != engines::FindingKind::kGateway) {
    co_return tell_probe(ProbeOutcome::kFailing, "it answers HTTP but not as a model server does");
  }
  // An operator who names a router as an engine gets it, without load signals.
  adapter_ = &engines::adapter_of(finding.runtime);
  found_.runtime = finding.runtime;
  found_.product = finding.product;
  found_changed_ = true;
}

bool PollTask::health_due() const {
  if (!ready_ || missed_reads_ > 0 || confirmations_left_ > 0) return true;
  if (loop_.now() < health_due_) return false;
  // A check that runs a request queues behind the others: a busy engine shows by its answers that
  // it lives.
  return adapter_->health_cost == HealthCost::kCheap || activity_ == Activity::kIdle;
}

port::Task<void> PollTask::read_health() {
  const ProbeAnswer answer = co_await get(adapter_->health_path);
  if (sink_ == nullptr) co_return;
  engines::HealthVerdict verdict = adapter_->read_health(answer.view());
  if (answer.failure != ProbeFailure::kNone) {
    verdict.reason = answer.detail;
    miss_read();
  }
  health_due_ = loop_.now() + (adapter_->health_cost == HealthCost::kCheap ? kHealthInterval
                                                                           : kCostlyHealthInterval);
  if (verdict.health == engines::Health::kReady && !key_refusal_.empty()) {
    ready_ = true;  // goes on reading, so that a right key is noticed
    co_return tell_probe(ProbeOutcome::kFailing, key_refusal_);
  }
  const bool was_ready = std::exchange(ready_, verdict.health == engines::Health::kReady);
  if (ready_)
    confirmations_left_ = was_ready ? std::max(confirmations_left_ - 1, 0) : kConfirmations;
  tell_probe(outcome_of(answer, verdict.health), verdict.reason);
  if (verdict.health == engines::Health::kFailing) co_return note_failed_round();
  failed_rounds_ = 0;
}

port::Task<void> PollTask::read_load() {
  const auto& paths = adapter_->load_paths;
  if (load_path_ >= paths.size() && loop_.now() >= load_paths_due_) load_path_ = 0;
  while (load_path_ < paths.size()) {
    const std::string_view path = paths[load_path_];
    if (path.empty()) {
      load_path_ = paths.size();
      break;
    }
    const ProbeAnswer answer = co_await get(path);
    if (sink_ == nullptr) co_return;
    if (answer.failure != ProbeFailure::kNone) co_return miss_read();
    auto reading = answer.status == 200 ? adapter_->read_load(path, answer.body, loop_.now())
                                        : fail(ErrorCode::kUpstreamBadResponse, "no such page");
    if (reading) co_return take_reading(std::move(*reading), answer.process_start);
    if (++load_path_ < paths.size()) continue;
    load_paths_due_ = loop_.now() + settings_.models_interval;
    sink_->on_load_read(name_, LoadRead::kFailed);
  }
  activity_ = Activity::kIdle;
}

void PollTask::take_reading(engines::LoadReading reading, const std::string& process_start) {
  missed_reads_ = 0;
  if (restart_.restarted(reading, process_start)) {
    expect_new_process();
    sink_->on_restarted(name_);
  }
  activity_ = is_active(reading.report, last_report_) ? Activity::kActive : Activity::kIdle;
  last_report_ = reading.report;
  if (reading.concurrency_max && reading.concurrency_max != found_.concurrency_max) {
    found_.concurrency_max = reading.concurrency_max;
    found_changed_ = true;
  }
  sink_->on_load_read(name_, LoadRead::kOk);
  sink_->on_report(name_, reading.report);
}

void PollTask::miss_read() {
  activity_ = Activity::kActive;  // looks again soon
  sink_->on_load_read(name_, LoadRead::kFailed);
  if (++missed_reads_ == kMissedReadsMax) sink_->on_report(name_, EngineReport{});
}

port::Task<void> PollTask::read_identity() {
  if (adapter_->identity_path.empty()) {
    identity_due_ = false;
    co_return;
  }
  const ProbeAnswer answer = co_await get(adapter_->identity_path);
  if (sink_ == nullptr || answer.failure != ProbeFailure::kNone) co_return;
  identity_due_ = false;
  if (answer.status != 200) co_return;
  auto identity = adapter_->read_identity(answer.body);
  if (!identity) co_return;
  if (identity->concurrency_max) found_.concurrency_max = identity->concurrency_max;
  found_.version = std::move(identity->version);
  found_changed_ = true;
}

port::Task<void> PollTask::read_models() {
  const ProbeAnswer answer = co_await get(adapter_->models_path);
  if (sink_ == nullptr || answer.failure != ProbeFailure::kNone) co_return;
  models_due_ = loop_.now() + settings_.models_interval;
  if (answer.status == 401 || answer.status == 403) {
    key_refusal_ = fmt::format("GET {} answers {}: it wants a key; set api_key_env of the engine",
                               adapter_->models_path, answer.status);
    co_return tell_probe(ProbeOutcome::kFailing, key_refusal_);
  }
  key_refusal_.clear();
  if (answer.status != 200) co_return;
  auto models = adapter_->read_models(answer.body);
  if (!models || found_.models == *models) co_return;
  found_.models = std::move(*models);
  found_changed_ = true;
}

void PollTask::tell_probe(ProbeOutcome outcome, const std::string& reason) {
  if (found_changed_) tell_facts();
  sink_->on_probe(name_, outcome, reason);
}

void PollTask::note_failed_round() {
  if (++failed_rounds_ < kFailedRoundsMax) return;
  failed_rounds_ = 0;
  expect_new_process();
  if (!configured_) adapter_ = nullptr;
}

// Whatever answers next may be another version with other models.
void PollTask::expect_new_process() {
  identity_due_ = true;
  models_due_ = {};
  load_path_ = 0;
}

void PollTask::tell_facts() {
  found_changed_ = false;
  sink_->on_facts(name_, found_);
}

}  // namespace infermesh::signal
