// ORCA load reports: what an engine says of its load in the header endpoint-load-metrics of an
// answer, when the request had endpoint-load-metrics-format: TEXT or JSON (vLLM, Triton with
// TensorRT-LLM). Both forms, with or without the word before them:
//
//   TEXT named_metrics.kv_cache_usage_perc=0.3, named_metrics.num_requests_waiting=2
//   JSON {"named_metrics": {"kv_cache_usage_perc": 0.3, "num_requests_waiting": 2}}
//
// Pure; a header that cannot be read tells nothing. Bound: kOrcaBytesMax.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace infermesh::engines {

constexpr std::string_view kOrcaRequestHeader = "endpoint-load-metrics-format";
constexpr std::string_view kOrcaRequestValue = "TEXT";
constexpr std::string_view kOrcaHeader = "endpoint-load-metrics";
constexpr std::size_t kOrcaBytesMax = 4096;

// What is not told is absent.
struct OrcaReport {
  std::optional<double> kv_used;  // fraction 0..1
  std::optional<std::uint32_t> running;
  std::optional<std::uint32_t> waiting;

  bool tells() const { return kv_used || running || waiting; }
};

OrcaReport read_orca(std::string_view value);

}  // namespace infermesh::engines
