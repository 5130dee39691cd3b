// The bodies of test_world.h; in a _test.cc so that they stay out of the library.
#include <fmt/format.h>

#include <cmath>

#include "core/route/test_world.h"

namespace infermesh::route {
namespace {

constexpr std::size_t kEngineBlocksPerRouterBlock = 4;  // 16 and 64 tokens

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

double exponential(Rng& rng, double mean_value) {
  return -std::log(1 - rng.unit()) * mean_value;
}

}  // namespace

std::string WorldResult::row(std::string_view name) const {
  std::string engines;
  for (const auto& [engine, count] : sent) engines += fmt::format(" {}", count);
  return fmt::format("{:17} {:8.0f} {:8.0f} {:8.0f} {:8.0f} {:8.1f} {:8.2f} {:6.0f} %  {}", name,
                     mean_ttft * 1e3, p50 * 1e3, p90 * 1e3, p99 * 1e3, mean_tpot * 1e3, mean_total,
                     hit_share * 100, engines);
}

World::World(WorldSettings settings, std::optional<PolicyKind> policy)
    : settings_(std::move(settings)),
      policy_(policy),
      mesh_(settings_.speeds.size(), policy.value_or(PolicyKind::kRoundRobin)) {
  for (const double speed : settings_.speeds) {
    engine::EngineProfile profile = settings_.profile;
    profile.speed = speed;
    engines_.emplace_back(profile);
  }
}

void World::on_event(std::size_t engine, const engine::EngineEvent& event) {
  const auto found = live_.find(event.id.value);
  if (found == live_.end()) return;
  Live& live = found->second;
  mesh_.now = event.at;
  if (event.kind == engine::EventKind::kScheduled) live.cached = event.cached_tokens;
  if (event.kind == engine::EventKind::kFirstToken) {
    live.first = event.at;
    live.in_flight.first_byte(event.at);
  }
  if (event.kind != engine::EventKind::kFinished) return;
  const WorldRequest& request = *live.request;
  Outcome outcome;
  outcome.total = event.at - request.at;
  outcome.output_tokens = request.spec.output_tokens;
  const double tokens = std::max(1.0, static_cast<double>(request.spec.output_tokens.value - 1));
  done_[event.id.value] = {to_seconds(live.first - request.at),
                           to_seconds(event.at - live.first) / tokens, to_seconds(outcome.total)};
  live.in_flight.finish();
  live.in_flight.describe(outcome);
  outcome.first_byte = live.first - request.at;
  mesh_.learn(outcome, live.decision);
  ++sent_[engine];
  live_.erase(found);
}

void World::report_all() {
  for (std::size_t i = 0; i < engines_.size(); ++i) {
    const engine::EngineStats stats = engines_[i].stats();
    EngineReport report;
    report.running = stats.running;
    report.waiting = stats.waiting;
    report.kv_used = stats.kv_used;
    report.read_at = next_report_;
    mesh_.load->report(EndpointId(static_cast<std::uint16_t>(i)), report);
  }
}

void World::advance_to(Instant until) {
  while (true) {
    std::size_t next = 0;
    for (std::size_t i = 1; i < engines_.size(); ++i) {
      if (deadline_of(i) < deadline_of(next)) next = i;
    }
    const Instant at = std::min(deadline_of(next), next_report_);
    if (at > until) return;
    if (at == next_report_) {
      report_all();
      next_report_ += settings_.report_every;
      continue;
    }
    engines_[next].on_deadline(engines_[next].next_deadline());
    for (engine::EngineEvent event : engines_[next].take_output()) {
      event.at = to_world(next, event.at);
      on_event(next, event);
    }
  }
}

Instant World::to_local(std::size_t engine, Instant world) const {
  if (!settings_.slow_at || engine != settings_.slow_engine || world <= *settings_.slow_at)
    return world;
  return *settings_.slow_at +
         from_seconds(to_seconds(world - *settings_.slow_at) * settings_.slow_by);
}

Instant World::to_world(std::size_t engine, Instant local) const {
  if (local == kNever || !settings_.slow_at || engine != settings_.slow_engine) return local;
  if (local <= *settings_.slow_at) return local;
  return *settings_.slow_at +
         from_seconds(to_seconds(local - *settings_.slow_at) / settings_.slow_by);
}

std::size_t World::ask_oracle(const WorldRequest& request) const {
  std::size_t best = 0;
  double best_seconds = 1e18;
  for (std::size_t i = 0; i < engines_.size(); ++i) {
    engine::Engine copy = engines_[i];
    const engine::EngineStats stats = copy.stats();
    copy.submit(to_local(i, request.at), request.spec);
    Instant first = kNever;
    while (first == kNever) {
      copy.on_deadline(copy.next_deadline());
      for (const engine::EngineEvent& event : copy.take_output()) {
        if (event.id == request.spec.id && event.kind == engine::EventKind::kFirstToken) {
          first = to_world(i, event.at);
        }
      }
    }
    engine::StepLoad step;
    step.decode_sequences = stats.running + stats.waiting + 1;
    const double token = to_seconds(step_time(copy.profile(), step));
    const double seconds = to_seconds(first - request.at) + 100 * token;
    if (seconds < best_seconds) {
      best = i;
      best_seconds = seconds;
    }
  }
  return best;
}

std::size_t World::choose(const WorldRequest& request, Decision& decision) {
  decision = mesh_.decide(request.facts);
  if (policy_) return decision.endpoint->value;
  const std::size_t best = ask_oracle(request);
  decision.endpoint = EndpointId(static_cast<std::uint16_t>(best));
  return best;
}

void World::send(const WorldRequest& request) {
  mesh_.now = request.at;
  Live live;
  live.request = &request;
  live.engine = choose(request, live.decision);
  live.in_flight = mesh_.send(live.decision, request.facts);
  engine::Engine& engine = engines_[live.engine];
  live_.emplace(request.spec.id.value, std::move(live));
  engine.submit(to_local(live_.at(request.spec.id.value).engine, request.at), request.spec);
}

WorldResult World::run(const std::vector<WorldRequest>& requests, std::size_t warm_up) {
  next_report_ = requests.front().at;
  for (const WorldRequest& request : requests) {
    advance_to(request.at);
    send(request);
  }
  while (!live_.empty()) advance_to(next_report_);
  return result(warm_up);
}

WorldResult World::result(std::size_t warm_up) const {
  WorldResult result;
  std::vector<double> totals;
  for (const auto& [id, values] : done_) {
    if (id < warm_up) continue;
    result.ttft.push_back(values[0]);
    result.tpot.push_back(values[1]);
    totals.push_back(values[2]);
  }
  result.mean_ttft = mean(result.ttft);
  result.p50 = quantile(result.ttft, 0.5);
  result.p90 = quantile(result.ttft, 0.9);
  result.p99 = quantile(result.ttft, 0.99);
  result.mean_tpot = mean(result.tpot);
  result.mean_total = mean(totals);
  double hits = 0, asked = 0;
  for (const engine::Engine& engine : engines_) {
    hits += static_cast<double>(engine.stats().prefix_hit_tokens);
    asked += static_cast<double>(engine.stats().prefix_query_tokens);
  }
  result.hit_share = asked > 0 ? hits / asked : 0;
  result.sent = sent_;
  return result;
}

namespace {

struct Conversation {
  std::vector<BlockHash> blocks;  // of 16 tokens
};

void grow(Conversation& conversation, std::size_t blocks, Rng& rng) {
  for (std::size_t i = 0; i < blocks; ++i) conversation.blocks.push_back(rng.next() | 1);
}

WorldRequest request_of(const Conversation& prompt, std::uint64_t id, Instant at,
                        const Workload& workload, Rng& rng) {
  WorldRequest request;
  request.at = at;
  request.spec.id = engine::RequestId(id);
  request.spec.blocks = prompt.blocks;
  const auto tokens = static_cast<std::int64_t>(prompt.blocks.size() * 16 + 1 + rng.below(15));
  request.spec.prompt_tokens = Tokens(tokens);
  request.spec.output_tokens = Tokens(10 + static_cast<std::int64_t>(exponential(rng, 90)));
  request.facts.model = "m";
  request.facts.stream = true;
  request.facts.prompt_tokens =
      Tokens(static_cast<std::int64_t>(static_cast<double>(tokens) * workload.estimate_bias));
  for (std::size_t i = kEngineBlocksPerRouterBlock - 1; i < prompt.blocks.size();
       i += kEngineBlocksPerRouterBlock) {
    request.facts.blocks.push_back(prompt.blocks[i]);
  }
  return request;
}

}  // namespace

std::vector<WorldRequest> make_requests(const Workload& workload, Instant start) {
  Rng rng(workload.seed);
  std::vector<Conversation> families(workload.families);
  for (Conversation& family : families) grow(family, 32 + rng.below(224), rng);
  std::vector<Conversation> chats;
  std::vector<WorldRequest> requests;
  Instant at = start;
  for (std::uint64_t id = 0; id < workload.requests; ++id) {
    at += from_seconds(exponential(rng, 1 / workload.per_second));
    Conversation prompt;
    // The most popular system prompts take most requests (square of a uniform draw).
    const double pick = rng.unit();
    const auto family =
        static_cast<std::size_t>(pick * pick * static_cast<double>(families.size()));
    if (!chats.empty() && rng.unit() < workload.chat_share) {
      Conversation& chat = chats[rng.below(chats.size())];
      grow(chat, 4 + static_cast<std::size_t>(exponential(rng, 30)), rng);
      prompt = chat;
      if (chat.blocks.size() > 900) chat = families[family];
    } else {
      prompt = families[family];
      grow(prompt, 2 + static_cast<std::size_t>(exponential(rng, 40)), rng);
      if (chats.size() < 60) chats.push_back(prompt);
    }
    requests.push_back(request_of(prompt, id, at, workload, rng));
  }
  return requests;
}

}  // namespace infermesh::route
