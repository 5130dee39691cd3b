#include "lab/load/bench_options.h"

#include <fmt/format.h>

#include <array>

#include "base/text.h"
#include "lab/shared/flags.h"

namespace infermesh::lab {
namespace {

Flags::Setter whole(std::string name, std::uint64_t& into) {
  return [name = std::move(name), &into](std::string_view text) -> Result<void> {
    const auto number = parse_u64(text);
    if (!number) return bad_value(name, text, "a whole number");
    into = *number;
    return {};
  };
}

void add_load_flags(Flags& flags, BenchOptions& options) {
  flags.number("concurrency", "closed loop: clients, each waits for its answer (default 8)",
               options.concurrency, 1, 100'000);
  flags.real("rate", "open loop: requests a second, at random moments (Poisson)",
             options.workload.rate, 0, 1e6);
  flags.add("requests", "N", "stop after N requests", whole("requests", options.requests));
  flags.duration("duration", "stop sending after this (default 30s without --requests or --trace)",
                 options.duration);
  flags.duration("warm-up", "send, but do not count, what is due before this", options.warm_up);
  flags.number("max-in-flight", "open loop: skip and count what is due beyond this (default 8192)",
               options.in_flight_max, 1, 1'000'000);
  flags.duration("timeout", "of one request (default 5m)", options.timeout);
  flags.add("seed", "N", "what chance decides: arrivals, prefixes, texts (default 1)",
            whole("seed", options.workload.seed));
}

void add_workload_flags(Flags& flags, BenchOptions& options) {
  auto& workload = options.workload;
  flags.number("prefixes", "distinct shared prefixes, chosen at random (default 0: none)",
               workload.prefixes, 0, 10'000'000);
  flags.number("prefix-tokens", "length of a shared prefix (default 1024)", workload.prefix_tokens,
               1, 10'000'000);
  flags.number("unique-tokens", "prompt tokens after the prefix (default 256)",
               workload.unique_tokens, 1, 10'000'000);
  flags.number("output-tokens", "tokens asked for (default 64)", workload.output_tokens, 1,
               10'000'000);
  flags.text("trace", "FILE", "replay a Mooncake .jsonl or Azure .csv trace", options.trace_file);
  flags.real("speed", "trace: times its recorded speed (default 1)", workload.time_scale, 0.0001,
             1e6);
  flags.real("length-scale", "trace: times its prompt and output lengths (default 1)",
             workload.length_scale, 0.0001, 1000);
}

void add_request_flags(Flags& flags, BenchOptions& options) {
  flags.text("model", "NAME", "default: the first model that the server lists", options.model);
  flags.add("api", "NAME", "chat (default) or completions",
            [&options](std::string_view name) -> Result<void> {
              if (name != "chat" && name != "completions")
                return bad_value("api", name, "chat or completions");
              options.chat = name == "chat";
              return {};
            });
  flags.add("no-stream", "", "ask for whole answers", [&options](std::string_view) -> Result<void> {
    options.stream = false;
    return {};
  });
  flags.add("no-ignore-eos", "", "do not send ignore_eos, for servers that refuse it",
            [&options](std::string_view) -> Result<void> {
              options.ignore_eos = false;
              return {};
            });
  flags.add("header", "LINE", "a further header, such as \"x-session-id: 7\"; may be repeated",
            [&options](std::string_view line) -> Result<void> {
              const auto colon = line.find(':');
              const bool clean = line.find_first_of("\r\n") == std::string_view::npos;
              if (colon == std::string_view::npos || colon == 0 || !clean) {
                return bad_value("header", line, "NAME: VALUE");
              }
              options.headers.emplace_back(line);
              return {};
            });
  flags.text("api-key-env", "NAME", "environment variable that holds the API key",
             options.api_key_env);
}

void add_report_flags(Flags& flags, BenchOptions& options) {
  flags.add("slo", "LIMITS", "count goodput, such as ttft=500ms,tpot=50ms,e2e=10s",
            [&options](std::string_view text) -> Result<void> {
              const auto slo = parse_slo(text);
              if (!slo) return std::unexpected(slo.error());
              options.slo = *slo;
              return {};
            });
  flags.add("output", "FORM", "table (default) or json; also -o",
            [&options](std::string_view form) -> Result<void> {
              if (form != "table" && form != "json")
                return bad_value("output", form, "table or json");
              options.output = form == "json" ? BenchOutput::kJson : BenchOutput::kTable;
              return {};
            });
  flags.toggle("help", "this text", options.help);
}

struct BenchFlags {
  Flags flags;
  bool url_given = false;

  explicit BenchFlags(BenchOptions& options) {
    flags.positional("URL", [this, &options](std::string_view url) -> Result<void> {
      if (std::exchange(url_given, true)) {
        return fail(ErrorCode::kInvalidField,
                    fmt::format("one URL is enough; \"{}\" is a second one", url));
      }
      auto target = parse_target(url);
      if (!target) return std::unexpected(target.error());
      options.target = std::move(*target);
      return {};
    });
    add_load_flags(flags, options);
    add_workload_flags(flags, options);
    add_request_flags(flags, options);
    add_report_flags(flags, options);
  }
};

}  // namespace

Result<BenchOptions> parse_bench_options(std::span<const std::string> args) {
  BenchOptions options;
  BenchFlags table(options);
  IM_TRY(table.flags.parse(args));
  if (options.help) return options;
  if (!table.url_given) {
    return fail(ErrorCode::kInvalidField, "which server? infermesh bench http://127.0.0.1:6400",
                "url");
  }
  if (!options.trace_file.empty() && options.workload.rate > 0) {
    return fail(ErrorCode::kInvalidField,
                "--trace has its own arrivals; --speed changes them, not --rate", "rate");
  }
  const bool endless =
      options.trace_file.empty() && options.requests == 0 && options.duration == Duration(0);
  if (endless) options.duration = 30s;
  return options;
}

std::string bench_help() {
  BenchOptions options;
  const BenchFlags table(options);
  return R"(infermesh bench: load an OpenAI-style server and report latency, throughput and errors

examples:
  infermesh bench http://127.0.0.1:6400
  infermesh bench http://127.0.0.1:6400 --concurrency 32 --duration 60s
  infermesh bench http://127.0.0.1:6400 --rate 20 --prefixes 16 --prefix-tokens 2048 --slo ttft=500ms,tpot=50ms
  infermesh bench http://127.0.0.1:6400 --trace mooncake.jsonl --speed 4 --length-scale 0.25 -o json

flags:
)" + table.flags.help() +
         R"(
exit: 0 all answered, 1 some failed, 2 wrong usage
)";
}

}  // namespace infermesh::lab
