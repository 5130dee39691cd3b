#include "data/shard/recent.h"

#include <algorithm>
#include <utility>

namespace infermesh::data {
namespace {

std::int64_t second_of(Instant now) {
  return std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
}

}  // namespace

void Recent::add_ttft(Duration ttft) {
  if (ttfts_.size() < kTtftsKept) {
    ttfts_.push_back(to_seconds(ttft));
    return;
  }
  ttfts_[next_ttft_] = to_seconds(ttft);
  next_ttft_ = (next_ttft_ + 1) % kTtftsKept;
}

void Recent::add_prompt(Tokens prompt, Tokens cached) {
  prompt_tokens_ += prompt.value;
  cached_tokens_ += std::min(prompt.value, cached.value);
}

void Recent::add_output(Tokens tokens, Instant now) {
  const std::int64_t second = second_of(now);
  Second& cell = seconds_[static_cast<std::size_t>(second) % kSeconds];
  if (cell.number != second) cell = {second, 0};
  cell.tokens += tokens.value;
}

RecentFigures Recent::figures(std::string model, Instant now) const {
  RecentFigures figures;
  figures.model = std::move(model);
  figures.ttft_seconds = ttfts_;
  figures.prompt_tokens = prompt_tokens_;
  figures.cached_tokens = cached_tokens_;
  const std::int64_t oldest = second_of(now) - static_cast<std::int64_t>(kSeconds);
  std::int64_t tokens = 0;
  for (const Second& cell : seconds_) {
    if (cell.number > oldest) tokens += cell.tokens;
  }
  figures.output_tokens_per_second = static_cast<double>(tokens) / kSeconds;
  return figures;
}

}  // namespace infermesh::data
