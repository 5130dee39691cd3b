#include "lab/engine/engine_options.h"

#include <fmt/format.h>

#include "base/text.h"

namespace infermesh::lab {
namespace {

// Limits given by flags override the profile's, wherever in the line --profile stands.
struct Overrides {
  std::uint32_t kv_blocks = 0, sequences = 0, batch_tokens = 0, context_tokens = 0, waiting = 0;
  double speed = 1;

  void apply(engine::EngineProfile& profile) const {
    if (kv_blocks > 0) profile.kv_blocks = kv_blocks;
    if (sequences > 0) profile.sequences_max = sequences;
    if (batch_tokens > 0) profile.batch_tokens_max = batch_tokens;
    if (context_tokens > 0) profile.context_tokens_max = context_tokens;
    if (waiting > 0) profile.waiting_max = waiting;
    profile.speed = speed;
  }
};

std::string profile_list() {
  std::string text;
  for (const auto& name : engine::profile_names()) text += (text.empty() ? "" : ", ") + name;
  return text;
}

Result<void> set_profile(std::string_view name, EngineOptions& options) {
  const auto profile = engine::find_profile(name);
  if (!profile)
    return bad_value("profile", name, fmt::format("a profile; there are {}", profile_list()));
  options.server.profile = *profile;
  return {};
}

void add_flags(Flags& flags, EngineOptions& options, Overrides& overrides) {
  flags.add("model", "NAME", "served model name (default sim); more than one: further names",
            [&options, first = true](std::string_view name) mutable -> Result<void> {
              if (name.empty()) return bad_value("model", name, "a name");
              if (std::exchange(first, false)) options.server.models.clear();
              options.server.models.emplace_back(name);
              return {};
            });
  flags.add("listen", "HOST:PORT", "where to listen (default 127.0.0.1:8000; port 0: any)",
            [&options](std::string_view text) -> Result<void> {
              const auto address = parse_host_port(text);
              if (!address) return bad_value("listen", text, "HOST:PORT, such as 127.0.0.1:8000");
              options.listen = *address;
              return {};
            });
  flags.number("count", "engines in this process, on consecutive ports (default 1)", options.count,
               1, 1000);
  flags.add("profile", "NAME", fmt::format("how fast and large: {} (default tiny)", profile_list()),
            [&options](std::string_view name) { return set_profile(name, options); });
  flags.real("speed", "times the profile's speed; 0.5 is half as fast (default 1)", overrides.speed,
             0.001, 1000);
  flags.number("kv-blocks", "KV cache size in blocks of 16 tokens", overrides.kv_blocks, 1,
               100'000'000);
  flags.number("max-num-seqs", "requests in the batch", overrides.sequences, 1, 100'000);
  flags.number("max-num-batched-tokens", "token budget of one step", overrides.batch_tokens, 1,
               10'000'000);
  flags.number("max-model-len", "context of one request in tokens", overrides.context_tokens, 2,
               100'000'000);
  flags.number("max-waiting", "requests in the queue before 503", overrides.waiting, 1, 10'000'000);
  flags.add("output-tokens", "N", "mean length of answers that nothing bounds (default 128)",
            [&options](std::string_view text) -> Result<void> {
              const auto mean = parse_u64(text);
              if (!mean || *mean < 1 || *mean > 100'000) {
                return bad_value("output-tokens", text, "a whole number from 1 to 100000");
              }
              options.server.output_tokens_mean = *mean;
              return {};
            });
  flags.duration("keep-alive", "close idle connections after this (default 5s)",
                 options.server.keep_alive);
  flags.add("fault", "WORDS", "how to misbehave, such as status=503 or delay=200ms,cut=3",
            [&options](std::string_view text) -> Result<void> {
              auto fault = parse_fault(text);
              if (!fault) return std::unexpected(fault.error());
              options.server.fault = std::move(*fault);
              if (options.server.fault_share == 0) options.server.fault_share = 1;
              return {};
            });
  flags.real("fault-share", "share of requests that get --fault (default 1)",
             options.server.fault_share, 0, 1);
  flags.add("seed", "N", "what chance decides: answers' ids, which requests fail (default 1)",
            [&options](std::string_view text) -> Result<void> {
              const auto seed = parse_u64(text);
              if (!seed) return bad_value("seed", text, "a whole number");
              options.server.seed = *seed;
              return {};
            });
  flags.text("ready-file", "FILE", "written once all listen: {\"urls\": [...]}",
             options.ready_file);
  flags.text("journal", "FILE",
             "what became of each request: begin, first, end or gone, and its id",
             options.journal_file);
  flags.toggle("help", "this text", options.help);
}

}  // namespace

Result<EngineOptions> parse_engine_options(std::span<const std::string> args) {
  EngineOptions options;
  Overrides overrides;
  Flags flags;
  add_flags(flags, options, overrides);
  IM_TRY(flags.parse(args));
  overrides.apply(options.server.profile);
  IM_TRY(engine::validate(options.server.profile));
  const std::uint32_t last = options.listen.port + options.count - 1;
  if (options.listen.port != 0 && last > 65535) {
    return bad_value("count", fmt::format("{}", options.count),
                     fmt::format("possible from port {}: ports end at 65535", options.listen.port));
  }
  return options;
}

std::string engine_help() {
  EngineOptions options;
  Overrides overrides;
  Flags flags;
  add_flags(flags, options, overrides);
  return R"(infermesh engine: simulated vLLM servers, for trying out routing without a GPU

examples:
  infermesh engine --model llama-8b
  infermesh engine --model llama-8b --profile h100-8b --listen 127.0.0.1:8000 --count 8
  infermesh engine --model llama-8b --speed 0.5 --listen 127.0.0.1:0 --ready-file /tmp/engines.json
  infermesh engine --fault status=503,retry-after=1 --fault-share 0.05
  curl -H 'x-fault: cut=3' http://127.0.0.1:8000/v1/chat/completions -d '{"model":"sim","stream":true,
    "messages":[{"role":"user","content":"hi"}]}'

flags:
)" + flags.help() +
         R"(
faults, in --fault or a request's x-fault header, separated by commas:
  delay=200ms  status=503  retry-after=1  content-type=text/html  reset  no-done
  cut=N  stall=N  reset=N  bad-chunk=N  bad-frame=N  error-frame=N   after N frames of the stream
)";
}

}  // namespace infermesh::lab
