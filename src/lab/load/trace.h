// Recorded traffic: arrival, prompt and output length of each request, and which prompt blocks it
// shares with others. Two formats, told apart by their first byte:
//   Mooncake jsonl (FAST'25): {"timestamp": ms, "input_length": n, "output_length": n, "hash_ids":
//   [..]}, an id per block of 512 prompt tokens; equal ids from the beginning are a shared prefix.
//   Azure csv: TIMESTAMP,ContextTokens,GeneratedTokens with "2023-11-16 18:15:46.6805900"; no
//   prefixes are known.
// Pure: the caller reads the file. A row that cannot be read is an error that names its line.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace infermesh::lab {

constexpr std::uint32_t kTraceBlockTokens = 512;
constexpr std::size_t kTraceRowsMax = 10'000'000;

struct TraceRow {
  Duration at{0};  // since the first row
  std::uint32_t input_tokens = 0;
  std::uint32_t output_tokens = 0;
  std::vector<std::uint64_t> blocks;
};

Result<std::vector<TraceRow>> parse_trace(std::string_view text);

}  // namespace infermesh::lab
