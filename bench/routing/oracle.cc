// routing_oracle: the reference for bench/routing/run.py. Plays a workload over simulated engines
// without any network, and chooses for each request with the engines' true state: it copies every
// engine, submits the request to the copy and lets it run until the request is done, then takes the
// engine that would be best. Nothing that a router can see comes close: it knows caches, queues,
// speeds and remaining output lengths exactly, at the very moment of the choice. What it does not
// know is what arrives later, so it is not the optimum, only the best that can be done one request
// at a time.
//
// round_robin here is the same simulation with a blind choice: beside the real router's round_robin
// it shows how far the simulation and the real processes are apart.
//
// routing_oracle --policy oracle_ttft|oracle_e2e|round_robin --engines SPEED,SPEED,... [--profile
// NAME] [limits]
//                [--kill N --kill-at TIME --back-at TIME] and the workload flags of `infermesh
//                bench`; writes its JSON.
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <fstream>
#include <sstream>
#include <unordered_map>

#include "base/text.h"
#include "core/engine/engine.h"
#include "lab/load/bench_report.h"
#include "lab/load/workload.h"
#include "lab/shared/flags.h"
#include "lab/shared/text_model.h"

namespace {

using namespace infermesh;
using engine::Engine;
using engine::EventKind;

struct Options {
  std::string policy = "oracle_ttft";
  std::vector<double> speeds{1};
  engine::EngineProfile profile;
  lab::WorkloadOptions workload;
  std::string trace_file;
  lab::Slo slo;
  Duration duration{0}, warm_up{0};
  std::uint32_t kill = 0;  // engine's number from 1; 0: none
  Duration kill_at{0}, back_at{0};
};

struct Job {
  engine::RequestSpec spec;
  Instant due{};
  lab::BenchAnswer answer;
};

std::vector<BlockHash> blocks_of(const lab::PlannedRequest& planned, Tokens& prompt_tokens) {
  // As `infermesh bench` writes it and the simulated engine reads it: one user turn.
  lab::BlockChain chain(lab::hash_text("", lab::hash_text("sim")));
  chain.add("<|user|>\n");
  chain.add(planned.prompt_text());
  chain.add("\n<|assistant|>\n");
  prompt_tokens = chain.tokens();
  return chain.take_blocks();
}

class Simulation {
 public:
  explicit Simulation(const Options& options) : options_(options), report_(options.slo) {
    for (const double speed : options.speeds) {
      engine::EngineProfile profile = options.profile;
      profile.speed = speed;
      engines_.emplace_back(profile);
      alive_.push_back(true);
    }
  }

  void run(lab::Workload& workload) {
    while (auto planned = workload.next()) {
      const Duration at = planned->at.value_or(Duration(0));
      if (options_.duration > Duration(0) && at >= options_.duration) break;
      const Instant due = Instant{} + at;
      advance(due);
      Job job;
      job.due = due;
      job.spec.id = engine::RequestId(++last_id_);
      job.spec.blocks = blocks_of(*planned, job.spec.prompt_tokens);
      job.spec.output_tokens = Tokens(planned->output_tokens);
      dispatch(std::move(job), due);
    }
    advance(kNever);
    report_.finish(std::max(now_ - Instant{} - options_.warm_up, Duration(1)));
  }

  std::string json() const {
    std::string text = report_.json();
    std::string busy;
    for (const auto& one : engines_) {
      busy += fmt::format("{}{:.3f}", busy.empty() ? "" : ",",
                          to_seconds(one.stats().busy) / to_seconds(now_ - Instant{}));
    }
    text.resize(text.rfind('}'));
    return text + fmt::format(",\"busy\":[{}]}}\n", busy);
  }

 private:
  // Ends every step that is due before `until`, in order of time, so that what happens to one
  // engine (its death) is in order with the rest.
  void advance(Instant until) {
    while (true) {
      std::size_t next = engines_.size();
      Instant at = until;
      for (std::size_t i = 0; i < engines_.size(); ++i) {
        if (alive_[i] && engines_[i].next_deadline() < at) {
          at = engines_[i].next_deadline();
          next = i;
        }
      }
      if (change_due(at)) continue;
      if (next == engines_.size()) break;
      now_ = at;
      engines_[next].on_deadline(at);
      collect(next);
    }
    if (until != kNever) now_ = until;
  }

  // The death and return of an engine, when they come before `at`.
  bool change_due(Instant at) {
    if (options_.kill == 0) return false;
    const std::size_t victim = options_.kill - 1;
    const Instant death = Instant{} + options_.kill_at;
    const Instant back = Instant{} + options_.back_at;
    if (!killed_ && death <= at) {
      killed_ = true;
      kill(victim, death);
      return true;
    }
    if (killed_ && !alive_[victim] && back <= at && at != kNever) {
      engine::EngineProfile profile = engines_[victim].profile();
      engines_[victim] = Engine(profile);
      alive_[victim] = true;
      return true;
    }
    return false;
  }

  // A stream that has begun is lost; what has not been answered goes elsewhere.
  void kill(std::size_t victim, Instant at) {
    engines_[victim].on_deadline(at);
    collect(victim);
    alive_[victim] = false;
    now_ = at;
    std::vector<Job> again;
    for (auto it = jobs_.begin(); it != jobs_.end();) {
      if (it->second.engine != victim) {
        ++it;
        continue;
      }
      Job job = std::move(it->second.job);
      it = jobs_.erase(it);
      if (job.answer.token_frames == 0) {
        again.push_back(std::move(job));
      } else {
        job.answer.error = "truncated";
        finish(job, at);
      }
    }
    std::sort(again.begin(), again.end(), [](const Job& a, const Job& b) { return a.due < b.due; });
    for (Job& job : again) dispatch(std::move(job), at);
  }

  void dispatch(Job job, Instant at) {
    const std::size_t chosen = choose(job, at);
    const auto outcome = engines_[chosen].submit(at, job.spec);
    if (outcome != engine::Submission::kAccepted) {
      job.answer.error = outcome == engine::Submission::kTooLong ? "http_400" : "http_503";
      finish(job, at);
      return;
    }
    const auto id = job.spec.id;
    jobs_.emplace(id, Running{std::move(job), chosen});
  }

  std::size_t choose(const Job& job, Instant at) {
    if (options_.policy == "round_robin") {
      do {
        turn_ = (turn_ + 1) % engines_.size();
      } while (!alive_[turn_]);
      return turn_;
    }
    const EventKind wanted =
        options_.policy == "oracle_e2e" ? EventKind::kFinished : EventKind::kFirstToken;
    std::size_t best = engines_.size();
    Instant best_at = kNever;
    for (std::size_t i = 0; i < engines_.size(); ++i) {
      if (!alive_[i]) continue;
      const Instant done = foresee(engines_[i], job, at, wanted, best_at);
      if (best == engines_.size() || done < best_at) {
        best = i;
        best_at = done;
      }
    }
    return best;
  }

  // When this would happen to the request on that engine; kNever once it cannot be before `bound`.
  static Instant foresee(Engine copy, const Job& job, Instant at, EventKind wanted, Instant bound) {
    copy.take_output();
    if (copy.submit(at, job.spec) != engine::Submission::kAccepted) return kNever;
    while (copy.next_deadline() < bound) {
      copy.on_deadline(copy.next_deadline());
      for (const auto& event : copy.take_output()) {
        if (event.id == job.spec.id && event.kind == wanted) return event.at;
      }
    }
    return kNever;
  }

  void collect(std::size_t which) {
    for (const auto& event : engines_[which].take_output()) {
      const auto found = jobs_.find(event.id);
      if (found == jobs_.end()) continue;
      lab::BenchAnswer& answer = found->second.job.answer;
      if (event.kind == EventKind::kFirstToken || event.kind == EventKind::kToken) {
        const bool counted = found->second.job.due >= Instant{} + options_.warm_up;
        if (answer.token_frames++ == 0) {
          answer.first_token = event.at;
        } else if (counted) {
          report_.inter_token().record(event.at - answer.last_token);
        }
        answer.last_token = event.at;
      } else if (event.kind == EventKind::kFinished) {
        answer.cached_tokens = static_cast<std::uint64_t>(event.cached_tokens.value);
        answer.engine = fmt::format("e{}", which + 1);
        finish(found->second.job, event.at);
        jobs_.erase(found);
      }
    }
  }

  void finish(Job& job, Instant at) {
    job.answer.usage_seen = true;
    job.answer.prompt_tokens = static_cast<std::uint64_t>(job.spec.prompt_tokens.value);
    job.answer.completion_tokens = job.answer.token_frames;
    job.answer.end = at;
    if (job.due >= Instant{} + options_.warm_up) report_.add(job.answer, job.due, true);
  }

  struct Running {
    Job job;
    std::size_t engine = 0;
  };

  const Options& options_;
  lab::BenchReport report_;
  std::vector<Engine> engines_;
  std::vector<bool> alive_;
  std::unordered_map<engine::RequestId, Running> jobs_;
  std::uint64_t last_id_ = 0;
  std::size_t turn_ = 0;
  Instant now_{};
  bool killed_ = false;
};

Result<void> read_speeds(std::string_view text, std::vector<double>& into) {
  into.clear();
  for (const auto part : split(text, ',')) {
    const auto speed = lab::parse_real(part);
    if (!speed || *speed <= 0) return lab::bad_value("engines", text, "speeds such as 1,1,0.5");
    into.push_back(*speed);
  }
  return {};
}

Result<Options> parse(std::span<const std::string> args) {
  Options options;
  lab::Flags flags;
  flags.text("policy", "NAME", "", options.policy);
  flags.add("engines", "SPEEDS", "",
            [&](std::string_view text) { return read_speeds(text, options.speeds); });
  flags.add("profile", "NAME", "", [&](std::string_view name) -> Result<void> {
    const auto profile = engine::find_profile(name);
    if (!profile) return lab::bad_value("profile", name, "a profile");
    options.profile = *profile;
    return {};
  });
  flags.number("kv-blocks", "", options.profile.kv_blocks, 1, 100'000'000);
  flags.number("max-num-seqs", "", options.profile.sequences_max, 1, 100'000);
  flags.number("max-num-batched-tokens", "", options.profile.batch_tokens_max, 1, 10'000'000);
  flags.number("prefixes", "", options.workload.prefixes, 0, 10'000'000);
  flags.number("prefix-tokens", "", options.workload.prefix_tokens, 1, 10'000'000);
  flags.number("unique-tokens", "", options.workload.unique_tokens, 1, 10'000'000);
  flags.number("output-tokens", "", options.workload.output_tokens, 1, 10'000'000);
  flags.real("rate", "", options.workload.rate, 0, 1e6);
  flags.text("trace", "FILE", "", options.trace_file);
  flags.real("speed", "", options.workload.time_scale, 0.0001, 1e6);
  flags.real("length-scale", "", options.workload.length_scale, 0.0001, 1000);
  flags.duration("duration", "", options.duration);
  flags.duration("warm-up", "", options.warm_up);
  flags.number("kill", "", options.kill, 0, 1000);
  flags.duration("kill-at", "", options.kill_at);
  flags.duration("back-at", "", options.back_at);
  flags.add("slo", "LIMITS", "", [&](std::string_view text) -> Result<void> {
    const auto slo = lab::parse_slo(text);
    if (!slo) return std::unexpected(slo.error());
    options.slo = *slo;
    return {};
  });
  IM_TRY(flags.parse(args));
  if (options.trace_file.empty() &&
      (options.workload.rate == 0 || options.duration == Duration(0))) {
    return fail(ErrorCode::kInvalidField, "--rate and --duration, or --trace, are needed");
  }
  return options;
}

int run(std::span<const std::string> args) {
  const auto options = parse(args);
  if (!options) {
    fmt::print(stderr, "routing_oracle: {}\n", options.error().detail);
    return 2;
  }
  Simulation simulation(*options);
  if (options->trace_file.empty()) {
    lab::Workload workload(options->workload);
    simulation.run(workload);
  } else {
    std::stringstream text;
    text << std::ifstream(options->trace_file).rdbuf();
    auto rows = lab::parse_trace(text.str());
    if (!rows) {
      fmt::print(stderr, "routing_oracle: {}: {}\n", options->trace_file, rows.error().detail);
      return 2;
    }
    lab::Workload workload(options->workload, std::move(*rows));
    simulation.run(workload);
  }
  fmt::print("{}", simulation.json());
  return 0;
}

}  // namespace

int main(int count, char** words) {
  return run(std::vector<std::string>(words + 1, words + count));
}
