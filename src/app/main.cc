#include <fmt/format.h>

#include <csignal>
#include <string>
#include <vector>

#include "app/command_world.h"
#include "app/lab.h"
#include "app/mesh.h"
#include "cli/run.h"
#include "config/loader.h"

namespace {

using namespace infermesh;

int run_mesh(config::Command command, std::span<const std::string> words, const cli::CliIo& io) {
  std::vector<std::string> environment;
  for (const auto& [name, value] : io.environment) environment.push_back(name + "=" + value);
  config::LoadInput input;
  input.environment = environment;
  input.arguments = words;
  input.read_file = io.read_file;
  auto loaded = config::load_settings(input);
  if (!loaded) {
    io.err(config::join_lines(loaded.error()) + "\n");
    return 2;
  }
  const bool is_up = command == config::Command::kUp;
  // Beside the banner only what needs attention is logged, unless somebody asked for more.
  if (is_up && loaded->origin(config::SettingId::kLogLevel).layer == config::Layer::kDefault) {
    loaded->settings.log_level = config::LogLevel::kWarn;
  }
  app::Mesh mesh(std::move(loaded->settings), command,
                 is_up ? app::Banner::Write(io.out) : nullptr);
  return mesh.run();
}

}  // namespace

int main(int count, char** values) {
  std::signal(SIGPIPE, SIG_IGN);
  const std::vector<std::string> args(values + 1, values + count);
  cli::CliIo io = app::make_cli_io();
  app::HttpAdminClient client;
  return cli::run_cli(
      args, io, client, [&io](const std::string& verb, std::span<const std::string> words) {
        if (verb == "engine") return app::run_engine(words, io);
        if (verb == "bench") return app::run_bench(words, io);
        return run_mesh(verb == "up" ? config::Command::kUp : config::Command::kRun, words, io);
      });
}
