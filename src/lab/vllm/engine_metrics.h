// The /metrics page of a simulated engine: vLLM's names, labels and bucket bounds over what the
// engine model says. The series that routers and dashboards read; Python and HTTP-server series are
// left out. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/engine/engine.h"

namespace infermesh::lab {

class PromHistogram {
 public:
  explicit PromHistogram(std::span<const double> bounds)
      : bounds_(bounds), counts_(bounds.size() + 1) {}
  void observe(double value);
  // Appends _bucket, _count and _sum lines. `labels` without braces.
  void append(std::string& out, std::string_view name, std::string_view labels) const;
  std::uint64_t count() const { return count_; }

 private:
  std::span<const double> bounds_;  // rising; of static storage
  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  double sum_ = 0;
};

enum class FinishReason : std::uint8_t { kStop, kLength, kAbort, kError };
constexpr std::size_t kFinishReasons = 4;
std::string_view to_string(FinishReason reason);

struct EngineMetrics {
  EngineMetrics();

  PromHistogram time_to_first_token, inter_token, time_per_output_token, e2e, queue_time,
      prefill_time, decode_time, inference_time, prompt_tokens, generation_tokens;
  std::array<std::uint64_t, kFinishReasons> finished{};
  std::uint64_t rejected = 0;
};

std::string metrics_page(const EngineMetrics& metrics, const engine::EngineStats& stats,
                         const engine::EngineProfile& profile, std::string_view model);

}  // namespace infermesh::lab
