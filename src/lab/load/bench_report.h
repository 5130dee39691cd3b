// What a load generator run found: totals while it runs, then the figures as a table or as JSON.
// Latencies of open-loop runs count from the moment a request was due, not from when it could be
// sent, so a server that stops answering cannot hide its queue (coordinated omission). Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "lab/load/bench_client.h"
#include "lab/load/latency_histogram.h"

namespace infermesh::lab {

struct Slo {
  std::optional<Duration> ttft, tpot, e2e;
  bool any() const { return ttft || tpot || e2e; }
};
// "ttft=500ms,tpot=50ms,e2e=10s".
Result<Slo> parse_slo(std::string_view text);

class BenchReport {
 public:
  explicit BenchReport(Slo slo) : slo_(slo) {}

  // `intended`: when it was due; `stream`: whether token times mean something.
  void add(const BenchAnswer& answer, Instant intended, bool stream);
  void add_skipped() { ++skipped_; }  // due, but too much was in flight
  void finish(Duration elapsed) { elapsed_ = elapsed; }

  std::uint64_t finished() const { return ok_ + failed(); }
  std::uint64_t failed() const;
  std::uint64_t skipped() const { return skipped_; }
  LatencyHistogram& inter_token() { return inter_token_; }
  std::string table() const;
  std::string json() const;
  std::string progress(Duration elapsed, std::uint64_t in_flight) const;

 private:
  bool meets_slo(Duration ttft, Duration tpot, Duration e2e) const;
  double per_second(std::uint64_t count) const;
  double hit_ratio() const;

  static constexpr std::size_t kNamesMax =
      1024;  // engines and error words kept apart; the rest is "other"
  Slo slo_;
  Duration elapsed_{0};
  std::uint64_t ok_ = 0, good_ = 0, skipped_ = 0;
  std::uint64_t prompt_tokens_ = 0, cached_tokens_ = 0, output_tokens_ = 0;
  LatencyHistogram ttft_, tpot_, inter_token_, e2e_;
  std::map<std::string, std::uint64_t> errors_, engines_;
  std::string first_error_;
};

}  // namespace infermesh::lab
