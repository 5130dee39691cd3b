#include "control/problems.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/admin_json.h"

namespace infermesh::control {
namespace {

Duration since(const MeshMoment& moment, Instant then) {
  return std::max(Duration::zero(), moment.now - then);
}

std::string because(std::string_view reason) {
  return reason.empty() ? std::string() : fmt::format(": {}", reason);
}

void add_engine_state(const MeshMoment& moment, const Endpoint& engine,
                      std::vector<Problem>& found) {
  const Duration age = since(moment, engine.state_since);
  const auto add = [&](Severity severity, std::string_view word) {
    found.push_back(
        {severity, "engine", engine.name,
         fmt::format("{} for {}{}", word, human_duration(age), because(engine.state_reason)),
         fmt::format("infermesh explain engine {}", engine.name), age});
  };
  switch (engine.state) {
    case EndpointState::kDown:
      return add(Severity::kError, "down");
    case EndpointState::kSuspect:
      return add(Severity::kWarning, "suspect");
    case EndpointState::kJoining:
      if (age > kStaleAfter) add(Severity::kWarning, "joining");
      return;
    case EndpointState::kReady:
    case EndpointState::kDraining:
      return;
  }
}

void add_stale_signals(const MeshMoment& moment, const Endpoint& engine,
                       std::vector<Problem>& found) {
  const std::int64_t read_at =
      moment.load.at(engine.id).reported_at_ns.load(std::memory_order_relaxed);
  if (engine.state != EndpointState::kReady || read_at == 0) return;
  const Duration age = since(moment, Instant(Duration(read_at)));
  if (age <= kStaleAfter) return;
  found.push_back({Severity::kWarning, "engine", engine.name,
                   fmt::format("its load figures are {} old", human_duration(age)),
                   fmt::format("infermesh explain engine {}", engine.name), age});
}

void add_ejections(const MeshMoment& moment, std::vector<Problem>& found) {
  for (const Ejection& ejection : moment.view.ejections) {
    const Endpoint* engine = moment.view.endpoint(ejection.endpoint);
    if (engine == nullptr || ejection.model.value >= moment.view.models.size()) continue;
    const std::string& model = moment.view.models[ejection.model.value].name;
    const Duration age = since(moment, ejection.since);
    found.push_back({Severity::kWarning, "engine", engine->name,
                     fmt::format("taken out for {} {} ago{}", model, human_duration(age),
                                 because(ejection.reason)),
                     fmt::format("infermesh explain engine {}", engine->name), age});
  }
}

void add_models(const MeshMoment& moment, std::vector<Problem>& found) {
  for (const Model& model : moment.view.models) {
    const bool served =
        std::any_of(model.endpoints.begin(), model.endpoints.end(), [&](EndpointId id) {
          const Endpoint* engine = moment.view.endpoint(id);
          return engine != nullptr && (engine->state == EndpointState::kReady ||
                                       engine->state == EndpointState::kSuspect);
        });
    if (served) continue;
    found.push_back(
        {Severity::kError, "model", model.name,
         model.endpoints.empty() ? "no engine serves it" : "none of its engines is ready",
         "infermesh engines", std::nullopt});
  }
}

void add_refusal(const MeshMoment& moment, const ObjectRefusal* refusal,
                 std::vector<Problem>& found) {
  if (refusal == nullptr || refusal->problems.empty()) return;
  const std::size_t more = refusal->problems.size() - 1;
  found.push_back({Severity::kError, "objects", refusal->path,
                   fmt::format("refused, the last good ones stay: {}{}", refusal->problems.front(),
                               more == 0 ? "" : fmt::format(" (and {} more)", more)),
                   fmt::format("infermesh config validate --objects {}", refusal->path),
                   since(moment, refusal->at)});
}

}  // namespace

std::string_view to_string(Severity severity) {
  return severity == Severity::kError ? "error" : "warning";
}

std::vector<Problem> find_problems(const MeshMoment& moment, const ObjectRefusal* refusal) {
  std::vector<Problem> found;
  add_refusal(moment, refusal, found);
  bool any_engine = false;
  for (const auto& engine : moment.view.endpoints) {
    if (!engine) continue;
    any_engine = true;
    add_engine_state(moment, *engine, found);
    add_stale_signals(moment, *engine, found);
  }
  if (!any_engine) {
    found.push_back({Severity::kError, "mesh", "", "no engine is known",
                     "infermesh up --engine http://HOST:PORT", std::nullopt});
  }
  add_ejections(moment, found);
  add_models(moment, found);
  std::stable_sort(found.begin(), found.end(),
                   [](const Problem& a, const Problem& b) { return a.severity < b.severity; });
  if (found.size() > kProblemsMax) {
    const std::size_t more = found.size() - (kProblemsMax - 1);
    found.resize(kProblemsMax - 1);
    found.push_back({Severity::kError, "mesh", "", fmt::format("and {} more problems", more),
                     "infermesh engines", std::nullopt});
  }
  return found;
}

}  // namespace infermesh::control
