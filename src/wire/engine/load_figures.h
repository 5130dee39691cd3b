// LoadFigures: the load sources of a RuntimeObject, compiled: one pass over a page of metrics, or
// one parse of a page of JSON, gives the figures. Immutable after construction. Internal to this
// folder, behind described.h.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/load_source.h"
#include "core/model/runtime_object.h"
#include "wire/engine/adapter.h"
#include "wire/engine/json_read.h"
#include "wire/engine/metrics_text.h"
#include "wire/engine/sum.h"

namespace infermesh::engines {

class LoadFigures {
 public:
  explicit LoadFigures(const RuntimeObject& object);
  LoadFigures(const LoadFigures&) = delete;
  LoadFigures& operator=(const LoadFigures&) = delete;

  // kUpstreamBadResponse when none of the sources is on the page.
  Result<LoadReading> read(std::string_view body, Instant now) const;

 private:
  enum Figure : std::uint8_t {
    kRunning,
    kWaiting,
    kWaitingTokens,
    kKvUsed,
    kKvTokens,
    kPromptTokens,
    kGenerationTokens,
    kPrefixQueryTokens,
    kPrefixHitTokens,
    kConcurrencyMax,
    kStartedAt,
    kWorkDone,
    kFigures,
  };
  enum class Combine : std::uint8_t { kSum, kMax };

  struct Operand {
    LoadOperand from;
    Combine combine = Combine::kSum;
  };
  struct Source {
    std::size_t left = 0;  // into operands_
    LoadOperator op = LoadOperator::kNone;
    std::size_t right = 0;
  };

  void add_source(Figure figure, std::string_view text);
  std::size_t add_operand(LoadOperand from, Combine combine);
  MetricTable make_table();
  void read_metrics(std::string_view body, std::vector<Sum>& sums) const;
  void read_json(const Json& page, std::vector<Sum>& sums) const;
  Sum figure(Figure figure, const std::vector<Sum>& sums) const;

  std::array<std::vector<Source>, kFigures> sources_;
  std::vector<Operand> operands_;
  std::vector<std::string> names_;                     // of metrics, each once
  std::vector<std::vector<std::size_t>> operands_of_;  // by name
  std::string first_source_;                           // for the error
  bool json_ = false;
  MetricTable table_;  // borrows names_
};

}  // namespace infermesh::engines
