// Workload: which requests the load generator sends, and when. Prompts are made of four-byte words
// drawn from a seed, so a token of the simulated engine is a word, and equal seeds give equal text.
// Deterministic by its seed. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "lab/load/trace.h"

namespace infermesh::lab {

// A run of words; the same seed and count give the same text, and a shorter count is a prefix of
// it.
struct TextRun {
  std::uint64_t seed = 0;
  std::uint32_t tokens = 0;

  bool operator==(const TextRun&) const = default;
};

struct PlannedRequest {
  std::optional<Duration> at;  // since the start; none: as soon as there is room (closed loop)
  std::vector<TextRun> prompt;
  std::uint32_t output_tokens = 1;

  std::uint64_t prompt_tokens() const;
  std::string prompt_text() const;
};

struct WorkloadOptions {
  std::uint32_t prefixes = 0;  // distinct shared prefixes; 0: none
  std::uint32_t prefix_tokens = 1024;
  std::uint32_t unique_tokens = 256;  // of each prompt, after its prefix
  std::uint32_t output_tokens = 64;
  double rate = 0;          // requests a second, Poisson; 0: closed loop
  double time_scale = 1;    // trace: 2 plays it twice as fast
  double length_scale = 1;  // trace: prompt and output lengths are multiplied by it
  std::uint64_t seed = 1;
};

class Workload {
 public:
  explicit Workload(WorkloadOptions options) : options_(options), rng_(options.seed) {}
  Workload(WorkloadOptions options, std::vector<TraceRow> trace)
      : options_(options), rng_(options.seed), trace_(std::move(trace)) {}

  // None when the trace has ended.
  std::optional<PlannedRequest> next();
  bool timed() const { return !trace_.empty() || options_.rate > 0; }

 private:
  PlannedRequest from_trace(const TraceRow& row);

  WorkloadOptions options_;
  Rng rng_;
  std::vector<TraceRow> trace_;
  std::uint64_t count_ = 0;
  Duration at_{0};
};

}  // namespace infermesh::lab
