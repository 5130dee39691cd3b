#include "signal/engine/poll_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "wire/engine/described.h"
#include "wire/engine/detect.h"

namespace infermesh::signal {
namespace {

using engines::HealthCost;

constexpr Duration kHealthInterval = 1s;
constexpr Duration kCostlyHealthInterval = 5s;
constexpr int kFailedRoundsMax = 3;
constexpr int kConfirmations = 2;  // further good checks after the first, before one is believed
constexpr int kMissedReadsMax = 2;
constexpr std::size_t kModelsAskedMax = 16;  // one by one, where no page tells of all
constexpr std::string_view kNameThem =
    "it does not list its models; name them in `models` of its Engine object";

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
      target_(target),
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
  if (metrics_) metrics_->cancel();
  if (management_) management_->cancel();
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

port::Task<ProbeAnswer> PollTask::ask(const engines::Page& page, std::string_view model) {
  HttpProbe* probe = &probe_;
  if (page.port == engines::Port::kMetrics && metrics_) probe = &*metrics_;
  if (page.port == engines::Port::kManagement && management_) probe = &*management_;
  std::string path = engines::path_for(page, model);
  if (page.post.empty()) return probe->get(std::move(path), settings_.timeout);
  return probe->post(std::move(path), {"application/json", std::string(page.post)},
                     settings_.timeout);
}

std::optional<ProbeTarget> PollTask::default_port(std::uint16_t port) const {
  const engines::DefaultPorts& ports = adapter_->ports;
  const ProbeTarget& own = target_.address;
  if (port == 0 || (ports.main != 0 && ports.main != own.port)) return std::nullopt;
  const bool ipv6 = own.host.find(':') != std::string::npos;
  std::string authority =
      ipv6 ? fmt::format("[{}]:{}", own.host, port) : fmt::format("{}:{}", own.host, port);
  return ProbeTarget{own.host, port, std::move(authority), own.api_key, own.tls};
}

void PollTask::use_adapter(const engines::Adapter& adapter) {
  adapter_ = &adapter;
  const auto connect = [&](std::optional<HttpProbe>& probe, std::optional<ProbeTarget> address) {
    probe.reset();
    if (address && *address != target_.address) probe.emplace(loop_, std::move(*address));
  };
  connect(metrics_, target_.metrics ? target_.metrics : default_port(adapter.ports.metrics));
  connect(management_,
          target_.management ? target_.management : default_port(adapter.ports.management));
}

// Whom to ask for: each model by name, or one empty name for a page that tells of all.
std::vector<std::string> PollTask::names_for(const engines::Page& page) const {
  if (!page.per_model()) return {""};
  std::vector<std::string> names = target_.models;
  if (names.empty() && found_.models) {
    for (const ServedModel& model : *found_.models) names.push_back(model.name);
  }
  if (names.size() > kModelsAskedMax) names.resize(kModelsAskedMax);
  return names;
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
  if (target_.runtime) {
    if (target_.described) {
      described_ =
          std::make_unique<engines::Adapter>(engines::described_adapter(*target_.described));
    }
    use_adapter(described_ ? *described_ : engines::adapter_of(*target_.runtime));
    found_.runtime = *target_.runtime;
    found_.product =
        target_.described ? target_.described->name : std::string(to_string(*target_.runtime));
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
  use_adapter(engines::adapter_of(finding.runtime));
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

// Where each model is asked for, the engine can work when one of them can.
port::Task<PollTask::HealthLook> PollTask::look_at_health() {
  HealthLook best;
  best.verdict.reason = kNameThem;
  const bool cannot_list = adapter_->models.path.empty() || adapter_->models.per_model();
  if (cannot_list && target_.models.empty()) co_return best;
  const std::vector<std::string> names = names_for(adapter_->health);
  for (const std::string& name : names) {
    ProbeAnswer answer = co_await ask(adapter_->health, name);
    engines::HealthVerdict verdict = adapter_->read_health(answer.view());
    const bool better = &name == &names.front() || verdict.health < best.verdict.health;
    const bool last = sink_ == nullptr || answer.failure != ProbeFailure::kNone ||
                      verdict.health == engines::Health::kReady;
    if (better || last) {
      best.answer = std::move(answer);
      best.verdict = std::move(verdict);
    }
    if (last) break;
  }
  co_return best;
}

port::Task<void> PollTask::read_health() {
  HealthLook look = co_await look_at_health();
  if (sink_ == nullptr) co_return;
  const ProbeAnswer& answer = look.answer;
  engines::HealthVerdict& verdict = look.verdict;
  if (answer.failure != ProbeFailure::kNone) {
    verdict.reason = answer.detail;
    miss_read();
  }
  health_due_ = loop_.now() + (adapter_->health_cost == HealthCost::kCheap ? kHealthInterval
                                                                           : kCostlyHealthInterval);
  if (verdict.health == engines::Health::kReady && !models_refusal_.empty()) {
    ready_ = true;  // goes on reading, so that a right key is noticed
    co_return tell_probe(ProbeOutcome::kFailing, models_refusal_);
  }
  const bool was_ready = std::exchange(ready_, verdict.health == engines::Health::kReady);
  if (ready_)
    confirmations_left_ = was_ready ? std::max(confirmations_left_ - 1, 0) : kConfirmations;
  tell_probe(outcome_of(answer, verdict.health), verdict.reason);
  if (verdict.health == engines::Health::kFailing) co_return note_failed_round();
  failed_rounds_ = 0;
}

port::Task<PollTask::LoadLook> PollTask::look_at_load(const engines::Page& page) {
  LoadLook look;
  const std::vector<std::string> names = names_for(page);
  for (const std::string& name : names) {
    const ProbeAnswer answer = co_await ask(page, name);
    look.failure = answer.failure;
    look.process_start = answer.process_start;
    if (sink_ == nullptr || answer.failure != ProbeFailure::kNone) break;
    if (answer.status != 200) continue;
    const auto reading = adapter_->read_load(page.path, answer.body, loop_.now());
    if (!reading) continue;
    if (!look.reading) look.reading.emplace();
    engines::add_reading(*look.reading, *reading);
  }
  co_return look;
}

port::Task<void> PollTask::read_load() {
  const auto& pages = adapter_->load;
  if (load_page_ >= pages.size() && loop_.now() >= load_pages_due_) load_page_ = 0;
  while (load_page_ < pages.size()) {
    const engines::Page& page = pages[load_page_];
    if (page.path.empty()) {
      load_page_ = pages.size();
      break;
    }
    LoadLook look = co_await look_at_load(page);
    if (sink_ == nullptr) co_return;
    // Silence on another port says nothing of the engine itself.
    const bool own_port = page.port == engines::Port::kMain ||
                          !(page.port == engines::Port::kMetrics ? metrics_ : management_);
    if (look.failure != ProbeFailure::kNone && own_port) co_return miss_read();
    if (look.failure == ProbeFailure::kNone && look.reading) {
      co_return take_reading(std::move(*look.reading), look.process_start);
    }
    if (++load_page_ < pages.size()) continue;
    load_pages_due_ = loop_.now() + settings_.models_interval;
    sink_->on_load_read(target_.name, LoadRead::kFailed);
  }
  activity_ = Activity::kIdle;
}

void PollTask::take_reading(engines::LoadReading reading, const std::string& process_start) {
  missed_reads_ = 0;
  if (restart_.restarted(reading, process_start)) {
    expect_new_process();
    sink_->on_restarted(target_.name);
  }
  activity_ = is_active(reading.report, last_report_) ? Activity::kActive : Activity::kIdle;
  last_report_ = reading.report;
  if (reading.concurrency_max && reading.concurrency_max != found_.concurrency_max) {
    found_.concurrency_max = reading.concurrency_max;
    found_changed_ = true;
  }
  sink_->on_load_read(target_.name, LoadRead::kOk);
  sink_->on_report(target_.name, reading.report);
}

void PollTask::miss_read() {
  activity_ = Activity::kActive;  // looks again soon
  sink_->on_load_read(target_.name, LoadRead::kFailed);
  if (++missed_reads_ == kMissedReadsMax) sink_->on_report(target_.name, EngineReport{});
}

port::Task<void> PollTask::read_identity() {
  if (adapter_->identity.path.empty()) {
    identity_due_ = false;
    co_return;
  }
  const ProbeAnswer answer = co_await ask(adapter_->identity, "");
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
  const engines::Page& page = adapter_->models;
  if (page.path.empty()) {
    models_due_ = kNever;
    co_return;
  }
  if (page.per_model()) {
    co_await ask_for_each_model();
    co_return;
  }
  const ProbeAnswer answer = co_await ask(page, "");
  if (sink_ == nullptr) co_return;
  const bool silent = answer.failure != ProbeFailure::kNone;
  if (silent && page.port == engines::Port::kMain) co_return;
  models_due_ = loop_.now() + settings_.models_interval;
  const std::string_view method = page.post.empty() ? "GET" : "POST";
  if (answer.status == 401 || answer.status == 403) {
    co_return refuse_models(
        fmt::format("{} {} answers {}: it wants a key; set api_key_env of the engine", method,
                    page.path, answer.status));
  }
  // With names in its object it can do without.
  if ((silent || answer.status == 404) && target_.models.empty()) {
    co_return refuse_models(fmt::format(
        "{} {}{}: {}; set management_url, or name its models in `models` of its Engine object",
        method, page.path, silent ? " on its management port" : "",
        silent ? answer.detail : std::string("it answers 404")));
  }
  models_refusal_.clear();
  if (answer.status != 200) co_return;
  auto models = adapter_->read_models(answer.body);
  if (models) take_models(std::move(*models));
}

// A server that lists nothing: what its object names and is ready is served.
port::Task<void> PollTask::ask_for_each_model() {
  std::vector<ServedModel> models;
  const std::vector<std::string> names = names_for(adapter_->models);
  for (const std::string& name : names) {
    const ProbeAnswer answer = co_await ask(adapter_->models, name);
    if (sink_ == nullptr || answer.failure != ProbeFailure::kNone) co_return;
    if (adapter_->read_health(answer.view()).health != engines::Health::kReady) continue;
    engines::add_model(models, {name, {}, std::nullopt});
  }
  models_due_ = loop_.now() + settings_.models_interval;
  take_models(std::move(models));
}

void PollTask::refuse_models(std::string why) {
  models_refusal_ = std::move(why);
  tell_probe(ProbeOutcome::kFailing, models_refusal_);
}

void PollTask::take_models(std::vector<ServedModel> models) {
  if (found_.models == models) return;
  found_.models = std::move(models);
  found_changed_ = true;
}

void PollTask::tell_probe(ProbeOutcome outcome, const std::string& reason) {
  if (found_changed_) tell_facts();
  sink_->on_probe(target_.name, outcome, reason);
}

void PollTask::note_failed_round() {
  if (++failed_rounds_ < kFailedRoundsMax) return;
  failed_rounds_ = 0;
  expect_new_process();
  if (!target_.runtime) adapter_ = nullptr;
}

// Whatever answers next may be another version with other models.
void PollTask::expect_new_process() {
  identity_due_ = true;
  models_due_ = {};
  load_page_ = 0;
}

void PollTask::tell_facts() {
  found_changed_ = false;
  sink_->on_facts(target_.name, found_);
}

}  // namespace infermesh::signal
