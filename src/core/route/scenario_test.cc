// Golden text: test/scenario/route/*.txt tell a story of engines, loads and requests, and the
// decisions stand below each request, indented. INFERMESH_REWRITE=1 writes the decisions anew; read
// the diff. The words are in that folder's README.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/text.h"
#include "core/route/test_mesh.h"

namespace infermesh::route {
namespace {

using Words = std::map<std::string, std::string, std::less<>>;  // key=value words of a line

struct Line {
  std::string verb;
  std::string name;  // the first word without '='
  Words words;

  std::int64_t number(std::string_view key, std::int64_t otherwise) const {
    const auto found = words.find(key);
    return found == words.end() ? otherwise : std::stoll(found->second);
  }
  double decimal(std::string_view key, double otherwise) const {
    const auto found = words.find(key);
    return found == words.end() ? otherwise : std::stod(found->second);
  }
  Duration duration(std::string_view key, Duration otherwise) const {
    const auto found = words.find(key);
    return found == words.end() ? otherwise : parse_duration(found->second).value();
  }
  std::string text(std::string_view key, std::string otherwise) const {
    const auto found = words.find(key);
    return found == words.end() ? otherwise : found->second;
  }
};

Line parse_line(std::string_view text) {
  Line line;
  for (const std::string_view word : split(text, ' ')) {
    const auto equals = word.find('=');
    if (word.empty()) continue;
    if (line.verb.empty()) {
      line.verb = word;
    } else if (equals == std::string_view::npos) {
      line.name = word;
    } else {
      line.words.emplace(word.substr(0, equals), word.substr(equals + 1));
    }
  }
  return line;
}

class Scenario {
 public:
  // The decisions that a line leads to, one text line each.
  std::vector<std::string> run(const Line& line) {
    if (line.verb == "policy") return policy(line);
    if (line.verb == "engines") return engines(line);
    if (line.verb == "engine") return engine(line);
    if (line.verb == "load") return load(line);
    if (line.verb == "eject") return eject(line);
    if (line.verb == "wait") return wait(line);
    if (line.verb == "first_byte") return first_byte(line);
    if (line.verb == "done") return done(line);
    if (line.verb == "request") return request(line);
    return {fmt::format("unknown verb {}", line.verb)};
  }

 private:
  struct Sent {
    InFlight in_flight;
    Decision decision;
    Duration first{-1};
    Instant at{};
  };

  std::size_t index(std::string_view name) const { return std::stoul(std::string(name.substr(1))); }

  std::vector<std::string> policy(const Line& line) {
    kind_ = parse_policy_kind(line.name).value();
    if (mesh_) mesh_->policy().policy = kind_;
    return {};
  }
  std::vector<std::string> engines(const Line& line) {
    mesh_ = std::make_unique<TestMesh>(std::stoul(line.name), kind_);
    return {};
  }
  std::vector<std::string> engine(const Line& line) {
    Endpoint& endpoint = mesh_->engine(index(line.name));
    const std::string state = line.text("state", "ready");
    for (int i = 0; i < 5; ++i) {
      if (to_string(static_cast<EndpointState>(i)) == state) {
        endpoint.state = static_cast<EndpointState>(i);
      }
    }
    endpoint.weight = static_cast<std::uint32_t>(line.number("weight", endpoint.weight));
    endpoint.in_flight_max =
        static_cast<std::uint32_t>(line.number("in_flight_max", endpoint.in_flight_max));
    if (line.words.contains("slots")) {
      endpoint.concurrency_max = static_cast<std::uint32_t>(line.number("slots", 0));
    }
    return {};
  }
  std::vector<std::string> load(const Line& line) {
    LoadCell& cell = mesh_->cell(index(line.name));
    cell.in_flight = static_cast<std::int32_t>(line.number("in_flight", cell.in_flight));
    cell.streams = static_cast<std::int32_t>(line.number("streams", cell.streams));
    cell.prefill_tokens_ahead = line.number("ahead", cell.prefill_tokens_ahead);
    if (line.words.contains("tokens_per_s")) {
      cell.prefill_tokens_per_second = line.decimal("tokens_per_s", 0);
      cell.seconds_per_token = to_seconds(line.duration("per_token", 15ms));
      cell.overhead_seconds = 0.01;
      cell.rates_at_ns = (mesh_->now - line.duration("measured", 0s)).time_since_epoch().count();
    }
    if (line.words.contains("reported")) {
      cell.others_running = static_cast<std::int32_t>(line.number("others_running", 0));
      cell.others_waiting = static_cast<std::int32_t>(line.number("others_waiting", 0));
      cell.reported_waiting = cell.others_waiting.load();
      cell.reported_at_ns = (mesh_->now - line.duration("reported", 0s)).time_since_epoch().count();
    }
    return {};
  }
  std::vector<std::string> eject(const Line& line) {
    const bool half_open = line.text("half_open", "no") == "yes";
    mesh_->view.ejections.push_back({EndpointId(static_cast<std::uint16_t>(index(line.name))),
                                     ModelId(0), mesh_->now + 5s, half_open, "scenario"});
    return {};
  }
  std::vector<std::string> wait(const Line& line) {
    mesh_->now += parse_duration(line.name).value();
    return {};
  }
  std::vector<std::string> first_byte(const Line& line) {
    Sent& sent = sent_.at(line.name);
    sent.in_flight.first_byte(mesh_->now);
    sent.first = mesh_->now - sent.at;
    return {};
  }
  std::vector<std::string> done(const Line& line) {
    Sent& sent = sent_.at(line.name);
    sent.in_flight.finish();
    Outcome outcome;
    sent.in_flight.describe(outcome);
    outcome.first_byte = sent.first;
    outcome.total = mesh_->now - sent.at;
    outcome.output_tokens = Tokens(line.number("output", 100));
    mesh_->learn(outcome, sent.decision);
    sent_.erase(line.name);
    return {};
  }
  std::vector<std::string> request(const Line& line) {
    RequestFacts facts =
        chat(line.number("tokens", 500), static_cast<std::uint64_t>(line.number("family", 0)),
             static_cast<std::size_t>(line.number("shared", 0)) / 32, ++requests_);
    facts.session_key = static_cast<std::uint64_t>(line.number("session", 0));
    std::vector<EndpointId> tried;
    if (line.words.contains("tried")) {
      tried.push_back(EndpointId(static_cast<std::uint16_t>(index(line.text("tried", "")))));
    }
    const Decision decision = mesh_->decide(facts, tried);
    if (decision.endpoint && !line.name.empty()) {
      sent_[line.name] = Sent{mesh_->send(decision, facts), decision, Duration(-1), mesh_->now};
    }
    return tell(decision);
  }

  static std::vector<std::string> tell(const Decision& decision) {
    std::vector<std::string> lines;
    if (decision.endpoint) {
      lines.push_back(fmt::format("-> e{} {}{}", decision.endpoint->value,
                                  to_string(decision.reason), decision.trial ? " (trial)" : ""));
    } else {
      lines.push_back(decision.wait
                          ? "-> wait"
                          : fmt::format("-> refused: {}", error_info(decision.refusal).name));
    }
    for (const CandidateNote& note : decision.notes) {
      if (note.rejection != Rejection::kNone) {
        lines.push_back(fmt::format("   e{} {}", note.endpoint.value, to_string(note.rejection)));
        continue;
      }
      lines.push_back(fmt::format(
          "   e{} score {:.3f}  queue {:.0f} ms  slot {:.0f} ms  cached {}  prefill {:.0f} ms  "
          "decode {:.0f} ms",
          note.endpoint.value, note.score, note.queue_seconds * 1e3, note.slot_seconds * 1e3,
          note.cached_tokens.value, note.prefill_seconds * 1e3, note.decode_seconds * 1e3));
    }
    return lines;
  }

  PolicyKind kind_ = PolicyKind::kExpectedLatency;
  std::unique_ptr<TestMesh> mesh_;
  std::map<std::string, Sent, std::less<>> sent_;
  std::uint64_t requests_ = 0;
};

std::string play(const std::string& text) {
  Scenario scenario;
  std::string out;
  std::istringstream in(text);
  for (std::string raw; std::getline(in, raw);) {
    if (raw.starts_with("  ")) continue;  // an old answer
    out += raw + "\n";
    if (raw.empty() || raw.starts_with("#")) continue;
    for (const std::string& answer : scenario.run(parse_line(raw))) out += "  " + answer + "\n";
  }
  return out;
}

TEST(RouteScenarios, DecideAsTheirGoldenTextSays) {
  const std::filesystem::path folder = std::string(INFERMESH_SOURCE_DIR) + "/test/scenario/route";
  std::size_t played = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".txt") continue;
    std::ifstream file(entry.path());
    const std::string golden((std::istreambuf_iterator<char>(file)), {});
    const std::string told = play(golden);
    ++played;
    if (std::getenv("INFERMESH_REWRITE") != nullptr) {
      std::ofstream(entry.path()) << told;
      continue;
    }
    EXPECT_EQ(told, golden) << entry.path().filename();
  }
  EXPECT_GE(played, 7U);
}

}  // namespace
}  // namespace infermesh::route
