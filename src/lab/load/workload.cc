#include "lab/load/workload.h"

#include <algorithm>
#include <cmath>

#include "lab/shared/text_model.h"

namespace infermesh::lab {
namespace {

// Keeps the seeds of prefixes, unique parts and trace blocks apart.
std::uint64_t seed_of(std::string_view kind, std::uint64_t run, std::uint64_t number) {
  return hash_text(kind, run * 0x9e3779b97f4a7c15ULL + number);
}

std::uint32_t scaled(std::uint32_t tokens, double scale) {
  return static_cast<std::uint32_t>(std::max(1.0, std::round(tokens * scale)));
}

}  // namespace

std::uint64_t PlannedRequest::prompt_tokens() const {
  std::uint64_t tokens = 0;
  for (const auto& run : prompt) tokens += run.tokens;
  return tokens;
}

std::string PlannedRequest::prompt_text() const {
  std::string text;
  text.reserve(prompt_tokens() * kTokenBytes);
  for (const auto& run : prompt) {
    for (std::uint32_t i = 0; i < run.tokens; ++i) text += output_token(run.seed, i);
  }
  return text;
}

std::optional<PlannedRequest> Workload::next() {
  const std::uint64_t number = count_++;
  if (!trace_.empty()) {
    if (number >= trace_.size()) return std::nullopt;
    return from_trace(trace_[number]);
  }
  PlannedRequest request;
  request.output_tokens = std::max(options_.output_tokens, 1U);
  if (options_.rate > 0) {
    at_ += from_seconds(-std::log(1.0 - rng_.unit()) / options_.rate);
    request.at = at_;
  }
  if (options_.prefixes > 0) {
    request.prompt.push_back(
        {seed_of("prefix", options_.seed, rng_.below(options_.prefixes)), options_.prefix_tokens});
  }
  request.prompt.push_back({seed_of("unique", options_.seed, number), options_.unique_tokens});
  return request;
}

PlannedRequest Workload::from_trace(const TraceRow& row) {
  PlannedRequest request;
  request.at = from_seconds(to_seconds(row.at) / options_.time_scale);
  request.output_tokens = scaled(row.output_tokens, options_.length_scale);
  std::uint32_t left = scaled(row.input_tokens, options_.length_scale);
  const std::uint32_t block_tokens = scaled(kTraceBlockTokens, options_.length_scale);
  // The seed of the run is left out: the same block is the same text in every run.
  for (const std::uint64_t id : row.blocks) {
    if (left == 0) break;
    const std::uint32_t tokens = std::min(left, block_tokens);
    request.prompt.push_back({seed_of("block", 0, id), tokens});
    left -= tokens;
  }
  if (left > 0) request.prompt.push_back({seed_of("rest", options_.seed, count_), left});
  return request;
}

}  // namespace infermesh::lab
