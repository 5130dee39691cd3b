#include "lab/load/bench_report.h"

#include <fmt/format.h>

#include <iterator>

#include "base/text.h"
#include "wire/json/write.h"

namespace infermesh::lab {
namespace {

void count(std::map<std::string, std::uint64_t>& counts, const std::string& name,
           std::size_t names_max) {
  const bool room = counts.size() < names_max || counts.contains(name);
  ++counts[room ? name : "other"];
}

std::string row(std::string_view name, const LatencyHistogram& values) {
  return fmt::format("  {:<6} {:>10} {:>10} {:>10} {:>10} {:>10}\n", name,
                     human_duration(values.mean()), human_duration(values.percentile(0.5)),
                     human_duration(values.percentile(0.9)),
                     human_duration(values.percentile(0.99)), human_duration(values.max()));
}

std::string figures(const LatencyHistogram& values) {
  return fmt::format(
      R"({{"count":{},"mean":{:.6f},"p50":{:.6f},"p90":{:.6f},"p99":{:.6f},"max":{:.6f}}})",
      values.count(), to_seconds(values.mean()), to_seconds(values.percentile(0.5)),
      to_seconds(values.percentile(0.9)), to_seconds(values.percentile(0.99)),
      to_seconds(values.max()));
}

std::string counts_json(const std::map<std::string, std::uint64_t>& counts) {
  std::string out = "{";
  for (const auto& [name, number] : counts) {
    if (out.size() > 1) out += ',';
    out += json::quoted(name) + fmt::format(":{}", number);
  }
  return out + "}";
}

std::string counts_line(const std::map<std::string, std::uint64_t>& counts) {
  std::string out;
  for (const auto& [name, number] : counts) {
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name, group_thousands(number));
  }
  return out;
}

}  // namespace

Result<Slo> parse_slo(std::string_view text) {
  Slo slo;
  for (const auto part : split(text, ',')) {
    const auto word = trim(part);
    const auto equals = word.find('=');
    const auto name = word.substr(0, equals);
    const auto limit =
        equals == std::string_view::npos ? std::nullopt : parse_duration(word.substr(equals + 1));
    std::optional<Duration>* into = name == "ttft"   ? &slo.ttft
                                    : name == "tpot" ? &slo.tpot
                                                     : nullptr;
    if (name == "e2e") into = &slo.e2e;
    if (into == nullptr || !limit)
      return bad_value("slo", text, "like ttft=500ms,tpot=50ms,e2e=10s");
    *into = *limit;
  }
  return slo;
}

void BenchReport::add(const BenchAnswer& answer, Instant intended, bool stream) {
  if (!answer.engine.empty()) count(engines_, answer.engine, kNamesMax);
  if (!answer.ok()) {
    count(errors_, answer.error, kNamesMax);
    if (first_error_.empty()) first_error_ = fmt::format("{}: {}", answer.error, answer.message);
    return;
  }
  ++ok_;
  prompt_tokens_ += answer.prompt_tokens;
  cached_tokens_ += answer.cached_tokens;
  output_tokens_ += answer.usage_seen ? answer.completion_tokens : answer.token_frames;
  const Duration e2e = answer.end - intended;
  e2e_.record(e2e);
  Duration ttft = e2e;
  Duration tpot{0};
  if (stream && answer.token_frames > 0) {
    ttft = answer.first_token - intended;
    ttft_.record(ttft);
    if (answer.token_frames > 1) {
      tpot = (answer.last_token - answer.first_token) /
             static_cast<std::int64_t>(answer.token_frames - 1);
      tpot_.record(tpot);
    }
  }
  if (meets_slo(ttft, tpot, e2e)) ++good_;
}

bool BenchReport::meets_slo(Duration ttft, Duration tpot, Duration e2e) const {
  return (!slo_.ttft || ttft <= *slo_.ttft) && (!slo_.tpot || tpot <= *slo_.tpot) &&
         (!slo_.e2e || e2e <= *slo_.e2e);
}

std::uint64_t BenchReport::failed() const {
  std::uint64_t sum = 0;
  for (const auto& [name, number] : errors_) sum += number;
  return sum;
}

double BenchReport::per_second(std::uint64_t number) const {
  return elapsed_ > Duration(0) ? static_cast<double>(number) / to_seconds(elapsed_) : 0;
}

double BenchReport::hit_ratio() const {
  return prompt_tokens_ == 0
             ? 0
             : static_cast<double>(cached_tokens_) / static_cast<double>(prompt_tokens_);
}

std::string BenchReport::table() const {
  std::string out = fmt::format("{} requests in {}: {} answered ({:.1f}/s), {} failed\n\n",
                                group_thousands(finished()), human_duration(elapsed_),
                                group_thousands(ok_), per_second(ok_), group_thousands(failed()));
  if (ok_ > 0) {
    out += fmt::format("  {:<6} {:>10} {:>10} {:>10} {:>10} {:>10}\n", "", "mean", "p50", "p90",
                       "p99", "max");
    if (ttft_.count() > 0) out += row("ttft", ttft_);
    if (tpot_.count() > 0) out += row("tpot", tpot_);
    if (inter_token_.count() > 0) out += row("itl", inter_token_);
    out += row("e2e", e2e_);
    out += fmt::format(
        "\n  tokens   {:.0f} prompt/s, {:.0f} output/s; {:.0f} % of prompt tokens cached\n",
        per_second(prompt_tokens_), per_second(output_tokens_), hit_ratio() * 100);
  }
  if (slo_.any()) {
    out += fmt::format(
        "  goodput  {:.1f}/s within the objectives, {:.1f} % of all\n", per_second(good_),
        finished() == 0 ? 0.0
                        : 100.0 * static_cast<double>(good_) / static_cast<double>(finished()));
  }
  if (!engines_.empty()) out += fmt::format("  engines  {}\n", counts_line(engines_));
  if (skipped_ > 0)
    out += fmt::format("  skipped  {} (too many in flight)\n", group_thousands(skipped_));
  if (!errors_.empty())
    out += fmt::format("  errors   {}\n           first: {}\n", counts_line(errors_), first_error_);
  return out;
}

std::string BenchReport::json() const {
  return fmt::format(
      R"({{"requests":{},"answered":{},"failed":{},"skipped":{},"seconds":{:.3f},"requests_per_second":{:.3f},)"
      R"("ttft_seconds":{},"tpot_seconds":{},"itl_seconds":{},"e2e_seconds":{},"prompt_tokens":{},)"
      R"("cached_tokens":{},"output_tokens":{},"prompt_tokens_per_second":{:.1f},"output_tokens_per_second":{:.1f},)"
      R"("hit_ratio":{:.4f},"good":{},"goodput_per_second":{:.3f},"errors":{},"engines":{},"first_error":{}}})"
      "\n",
      finished(), ok_, failed(), skipped_, to_seconds(elapsed_), per_second(ok_), figures(ttft_),
      figures(tpot_), figures(inter_token_), figures(e2e_), prompt_tokens_, cached_tokens_,
      output_tokens_, per_second(prompt_tokens_), per_second(output_tokens_), hit_ratio(), good_,
      per_second(good_), counts_json(errors_), counts_json(engines_), json::quoted(first_error_));
}

std::string BenchReport::progress(Duration elapsed, std::uint64_t in_flight) const {
  return fmt::format(
      "{}  {} answered, {} failed, {} in flight, ttft p50 {}", human_duration(elapsed),
      group_thousands(ok_), group_thousands(failed()), in_flight,
      human_duration(ttft_.count() > 0 ? ttft_.percentile(0.5) : e2e_.percentile(0.5)));
}

}  // namespace infermesh::lab
