// Recent: what status shows of a model: the last times to first token, tokens of the last seconds,
// and the share of prompts that engines served from their caches. One a model and shard; read on
// the shard's loop.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace infermesh::data {

struct RecentFigures {
  std::string model;
  std::vector<double> ttft_seconds;  // the last ones, in no order
  std::int64_t prompt_tokens = 0;    // of answers whose engine told both, since the start
  std::int64_t cached_tokens = 0;
  double output_tokens_per_second = 0;  // over the last Recent::kSeconds
};

class Recent {
 public:
  static constexpr std::size_t kTtftsKept = 256;
  static constexpr std::size_t kSeconds = 10;

  void add_ttft(Duration ttft);
  void add_prompt(Tokens prompt, Tokens cached);
  void add_output(Tokens tokens, Instant now);
  RecentFigures figures(std::string model, Instant now) const;

 private:
  struct Second {
    std::int64_t number = -1;  // of the time line
    std::int64_t tokens = 0;
  };
  std::vector<double> ttfts_;
  std::size_t next_ttft_ = 0;
  std::int64_t prompt_tokens_ = 0, cached_tokens_ = 0;
  std::array<Second, kSeconds> seconds_{};
};

}  // namespace infermesh::data
