// What the command `infermesh bench` can be told. Plain values; parse_bench_options reads them from
// the words after the verb. A wrong word is kInvalidField with one sentence for people.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "lab/load/bench_client.h"
#include "lab/load/bench_report.h"
#include "lab/load/workload.h"

namespace infermesh::lab {

enum class BenchOutput : std::uint8_t { kTable, kJson };

struct BenchOptions {
  BenchTarget target;
  std::string model;  // empty: the first one listed
  WorkloadOptions workload;
  std::string trace_file;
  bool chat = true;  // else completions
  bool stream = true;
  bool ignore_eos = true;
  std::uint32_t concurrency = 8;       // closed loop
  std::uint32_t in_flight_max = 8192;  // open loop: what is due beyond that is skipped and counted
  std::uint64_t requests = 0;          // 0: no bound
  Duration duration{0};                // 0: no bound
  Duration warm_up{0};                 // requests due before that are sent and not counted
  Duration timeout = 300s;             // of one request
  Slo slo;
  BenchOutput output = BenchOutput::kTable;
  std::string api_key_env;           // name of the environment variable with the key
  std::string api_key;               // filled in by the caller from api_key_env
  std::vector<std::string> headers;  // "name: value"
  bool help = false;
};

Result<BenchOptions> parse_bench_options(std::span<const std::string> args);
std::string bench_help();

}  // namespace infermesh::lab
