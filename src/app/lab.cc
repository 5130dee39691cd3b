#include "app/lab.h"

#include <fmt/format.h>

#include <csignal>
#include <fstream>

#include "cli/fault.h"
#include "io/event_loop.h"
#include "io/folder.h"
#include "io/signals.h"
#include "lab/engine/engine_command.h"
#include "lab/engine/engine_options.h"
#include "lab/load/bench_command.h"
#include "lab/load/bench_options.h"

namespace infermesh::app {
namespace {

port::Task<void> stop_on_signal(io::Signals& signals, std::function<void()> stop) {
  co_await signals.next();
  stop();
}

// Each line is a write of its own: what was told before a SIGKILL is in the file.
lab::JournalFn journal_to(std::ofstream& file) {
  return [&file](std::string_view event, std::string_view id) {
    file << fmt::format("{} {}\n", event, id) << std::flush;
  };
}

int complain(const cli::CliIo& io, std::string_view verb, const Error& error) {
  io.err(fmt::format("infermesh {}: {}\n", verb, error.detail));
  return 2;
}

}  // namespace

int run_engine(std::span<const std::string> words, const cli::CliIo& io) {
  auto options = lab::parse_engine_options(words);
  if (!options) return complain(io, "engine", options.error());
  if (options->help) {
    io.out(lab::engine_help());
    return 0;
  }
  io::EventLoop loop;
  lab::EngineCommand command(std::move(*options));
  std::ofstream journal;
  if (const std::string& name = command.options().journal_file; !name.empty()) {
    journal.open(name, std::ios::app);
    if (!journal) {
      io.err(fmt::format("infermesh engine: cannot write the journal {}\n", name));
      return 2;
    }
    command.set_journal(journal_to(journal));
  }
  const auto urls = command.start(
      loop, [&loop](std::string host, std::uint16_t port) { return io::listen(loop, host, port); });
  if (!urls) return complain(io, "engine", urls.error());
  if (const std::string& file = command.options().ready_file; !file.empty()) {
    if (const auto written = io::write_file(file, lab::ready_json(*urls)); !written) {
      return complain(io, "engine", written.error());
    }
  }
  io.out(lab::engine_banner(command.options(), *urls));
  io::Signals signals(loop, {SIGINT, SIGTERM});
  loop.spawn(stop_on_signal(signals, [&] {
    command.stop();
    loop.stop();
  }));
  loop.run();
  return 0;
}

int run_bench(std::span<const std::string> words, const cli::CliIo& io) {
  auto options = lab::parse_bench_options(words);
  if (!options) return complain(io, "bench", options.error());
  if (options->help) {
    io.out(lab::bench_help());
    return 0;
  }
  if (!options->api_key_env.empty()) options->api_key = io.env(options->api_key_env);
  std::string trace;
  if (!options->trace_file.empty()) {
    auto text = io.read_file(options->trace_file);
    if (!text) return complain(io, "bench", text.error());
    trace = std::move(*text);
  }
  auto command = lab::BenchCommand::make(std::move(*options), trace);
  if (!command) return complain(io, "bench", command.error());
  io::EventLoop loop;
  lab::ProgressFn progress;
  if (io.err_is_terminal) {
    progress = [&io](std::string_view line) { io.err(fmt::format("\r\033[K{}", line)); };
  }
  Result<void> ended;
  loop.spawn([](io::EventLoop& running, lab::BenchCommand& bench, lab::ProgressFn show,
                Result<void>& into) -> port::Task<void> {
    into = co_await bench.run(running, std::move(show));
    running.stop();
  }(loop, **command, progress, ended));
  io::Signals signals(loop, {SIGINT, SIGTERM});
  loop.spawn(stop_on_signal(signals, [&command] { (*command)->stop(); }));
  loop.run();
  if (progress) io.err("\r\033[K");
  if (!ended) {
    complain(io, "bench", ended.error());
    return static_cast<int>(cli::Exit::kUnavailable);
  }
  io.out((*command)->output());
  return (*command)->exit_code();
}

}  // namespace infermesh::app
