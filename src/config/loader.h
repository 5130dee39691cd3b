// Layered settings: defaults < file < environment < flags. Everything comes in as an argument (the
// environment as a span of strings, the file through a function), so loading is a pure function of
// them. All problems are collected.
#pragma once

#include <array>
#include <expected>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/problem.h"
#include "config/setting_table.h"

namespace infermesh::config {

enum class Layer : std::uint8_t { kDefault, kFile, kEnvironment, kFlag };
std::string_view to_string(Layer layer);  // "default", "file", "environment", "flag"

// Where a value came from, for `config view --origin`.
struct Origin {
  Layer layer = Layer::kDefault;
  std::string place;  // "infermesh.yaml:3:1", "INFERMESH_LISTEN", "--listen"; empty for a default
};

struct LoadedSettings {
  Settings settings;
  std::array<Origin, kSettings> origins;  // index = SettingId

  const Origin& origin(SettingId id) const { return origins[static_cast<std::size_t>(id)]; }
};

using ReadFile = std::function<Result<std::string>(const std::string& path)>;

struct LoadInput {
  Verbs verbs = Verbs::kServer;              // which settings may be given
  std::span<const std::string> environment;  // "NAME=value"; only INFERMESH_* is looked at
  std::span<const std::string> arguments;    // what follows the command's name
  ReadFile read_file;  // called once, when --config or INFERMESH_CONFIG names a file
};

// Flags: --name VALUE or --name=VALUE; a switch also alone (--usage-ask) or negated
// (--no-usage-ask); a list may be given several times and takes commas. An empty environment
// variable counts as not set. Unknown flags, variables that begin with INFERMESH_ and keys are
// problems, each with the nearest right name.
std::expected<LoadedSettings, Problems> load_settings(const LoadInput& input);

// Replaces every `auto` by what it means for a command.
enum class Command : std::uint8_t { kUp, kRun };
void resolve_auto(Settings& settings, Command command);

// The settings that differ, for reload: those with restart == true take effect only after one.
std::vector<SettingId> differences(const Settings& before, const Settings& after);

// What pools and the default policy take from the settings where their objects are silent.
PoolObject default_pool(const Settings& settings);
RoutingPolicyObject default_policy(const Settings& settings);

// "  --listen HOST:PORT        Where inference requests are taken. ... (default 127.0.0.1:6400)",
// grouped, 80 columns.
std::string flags_help(Verbs verbs);

}  // namespace infermesh::config
