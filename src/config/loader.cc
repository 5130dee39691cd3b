#include "config/loader.h"

#include <fmt/format.h>

#include "base/text.h"
#include "config/assignment.h"

namespace infermesh::config {
namespace {

void apply(const std::vector<Assignment>& assignments, LoadedSettings& loaded, Problems& problems) {
  for (const Assignment& assignment : assignments) {
    const SettingInfo& info = setting_info(assignment.id);
    const Complaint complaint = info.set(loaded.settings, assignment.items, info.limits);
    if (complaint.empty()) {
      loaded.origins[static_cast<std::size_t>(assignment.id)] = assignment.origin;
      continue;
    }
    Problem problem = assignment.where;
    const std::string_view name =
        assignment.origin.layer == Layer::kFile ? info.name : assignment.origin.place;
    problem.message = fmt::format("{}: {}", name, complaint);
    problems.push_back(std::move(problem));
  }
}

// The settings file that flags or environment name, flags first.
std::string config_path(const std::vector<Assignment>& environment,
                        const std::vector<Assignment>& flags) {
  for (const auto* layer : {&flags, &environment}) {
    for (const Assignment& assignment : *layer) {
      if (assignment.id == SettingId::kConfig) return assignment.items.front();
    }
  }
  return {};
}

std::vector<Assignment> read_config(const LoadInput& input, const std::string& path,
                                    Problems& problems) {
  if (path.empty() || !input.read_file) return {};
  auto text = input.read_file(path);
  if (text) return assignments_of_file(path, *text, problems);
  problems.push_back({path, 0, 0, text.error().detail});
  return {};
}

std::string place_of(const LoadedSettings& loaded, SettingId id) {
  const std::string& place = loaded.origin(id).place;
  return place.empty() ? "default" : place;
}

void check_order(const LoadedSettings& loaded, SettingId low, SettingId high, Problems& problems) {
  const SettingInfo& low_info = setting_info(low);
  const SettingInfo& high_info = setting_info(high);
  problems.push_back(
      {{},
       0,
       0,
       fmt::format("{} ({}, {}) is over {} ({}, {})", low_info.name,
                   low_info.show(loaded.settings, low_info.limits), place_of(loaded, low),
                   high_info.name, high_info.show(loaded.settings, high_info.limits),
                   place_of(loaded, high))});
}

void check_together(const LoadedSettings& loaded, Problems& problems) {
  const Settings& s = loaded.settings;
  if (s.poll_interval_min > s.poll_interval_max) {
    check_order(loaded, SettingId::kPollIntervalMin, SettingId::kPollIntervalMax, problems);
  }
  if (s.listen == s.admin_listen && s.listen.port != 0) {
    problems.push_back({{},
                        0,
                        0,
                        fmt::format("listen and admin_listen are both {}; give each its own port",
                                    to_string(s.listen))});
  }
}

}  // namespace

std::string_view to_string(Layer layer) {
  constexpr std::array<std::string_view, 4> kNames{"default", "file", "environment", "flag"};
  return kNames[static_cast<std::size_t>(layer)];
}

std::expected<LoadedSettings, Problems> load_settings(const LoadInput& input) {
  Problems problems;
  LoadedSettings loaded;
  const auto flags = assignments_of_flags(input.arguments, input.verbs, problems);
  const auto environment = assignments_of_environment(input.environment, input.verbs, problems);
  apply(read_config(input, config_path(environment, flags), problems), loaded, problems);
  apply(environment, loaded, problems);
  apply(flags, loaded, problems);
  if (problems.empty()) check_together(loaded, problems);
  if (!problems.empty()) return std::unexpected(std::move(problems));
  return loaded;
}

void resolve_auto(Settings& settings, Command command) {
  if (settings.discover == Discover::kAuto) {
    const bool look = command == Command::kUp && settings.engine.empty();
    settings.discover = look ? Discover::kOn : Discover::kOff;
  }
  if (settings.access_log == "auto") {
    settings.access_log = command == Command::kUp ? "off" : "stderr";
  }
}

std::vector<SettingId> differences(const Settings& before, const Settings& after) {
  std::vector<SettingId> ids;
  const auto table = setting_table();
  for (std::size_t i = 0; i < table.size(); ++i) {
    const SettingInfo& info = table[i];
    if (info.show(before, info.limits) != info.show(after, info.limits)) {
      ids.push_back(static_cast<SettingId>(i));
    }
  }
  return ids;
}

PoolObject default_pool(const Settings& settings) {
  PoolObject pool;
  pool.queue_max = settings.queue_max;
  pool.queue_timeout = settings.queue_timeout;
  pool.in_flight_per_engine_max = settings.in_flight_per_engine_max;
  pool.ejected_share_max = settings.ejected_share_max;
  pool.retry_budget = settings.retry_budget;
  pool.attempts_max = settings.attempts_max;
  pool.connect_timeout = settings.connect_timeout;
  pool.first_byte_timeout = settings.first_byte_timeout;
  pool.between_bytes_timeout = settings.between_bytes_timeout;
  pool.total_timeout = settings.total_timeout;
  pool.media_first_byte_timeout = settings.media_first_byte_timeout;
  pool.media_total_timeout = settings.media_total_timeout;
  return pool;
}

RoutingPolicyObject default_policy(const Settings& settings) {
  RoutingPolicyObject policy;
  policy.policy = settings.default_policy;
  return policy;
}

}  // namespace infermesh::config
