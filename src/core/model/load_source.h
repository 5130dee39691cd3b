// LoadSource: where on a page of an engine one figure of its load stands, as operators write it in
// a Runtime object. Pure text.
//
//   queue_length                         a metric; samples of several series are added
//   requests{state="waiting",tier="a"}   a metric, only samples with these label values
//   /loads/*/running                     a JSON pointer (RFC 6901); * stands for every element
//   used_blocks / total_blocks           one of these over, or times, another or a number
//   kv_percent / 100
//   requests_http + requests_grpc        both added up, or the one that is told
//
// Limits: 63 bytes a metric name, 8 labels, 512 bytes in all.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace infermesh {

struct LoadOperand {
  enum class Kind : std::uint8_t { kMetric, kPointer, kNumber };

  Kind kind = Kind::kMetric;
  std::string text;  // the metric's name without "_total", or the pointer
  std::vector<std::pair<std::string, std::string>> labels;
  double number = 0;
};

enum class LoadOperator : std::uint8_t { kNone, kOver, kTimes, kPlus };

struct LoadSource {
  LoadOperand left;
  LoadOperator op = LoadOperator::kNone;
  LoadOperand right;  // not used with kNone

  bool reads_json() const { return left.kind == LoadOperand::Kind::kPointer; }
};

Result<LoadSource> parse_load_source(std::string_view text);  // kInvalidConfig

// Whether this is a JSON pointer whose * stands for every element.
bool is_json_pattern(std::string_view text);

}  // namespace infermesh
