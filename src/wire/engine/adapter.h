// Adapter: what the router knows of one runtime: which GETs tell its state and how to read the
// answers. One table row and one file pair a runtime; the readers are pure functions of an answer,
// so they are tested on captured pages. Facts about the runtimes' HTTP surfaces are in the README
// of this folder.
//
// Reads fail with kUpstreamBadResponse; what an engine does not tell is absent, never zero.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/model/api.h"
#include "core/model/load_table.h"
#include "core/model/mesh_view.h"

namespace infermesh::engines {

constexpr std::size_t kServedModelsMax = 1024;  // of one engine; further ones are left out

// One answer to a GET. Borrowed views.
struct Answer {
  std::uint16_t status = 0;          // 0: none came (refused, reset, timed out, not HTTP)
  std::string_view server{};         // header Server
  std::string_view via{};            // header Via
  std::string_view process_start{};  // header Process-Start-Time-Unix (llama.cpp)
  std::string_view body{};
};

enum class Health : std::uint8_t {
  kReady,    // answers and can take requests
  kLoading,  // answers, will take requests later
  kFailing,  // does not answer, or says that it cannot work
};

struct HealthVerdict {
  Health health = Health::kFailing;
  std::string reason;  // one sentence unless ready
};

// What does not change while the process lives.
struct Identity {
  std::string version;
  std::optional<std::uint32_t> concurrency_max;
};

struct LoadReading {
  EngineReport report;
  std::optional<std::uint32_t> concurrency_max;
  // Both only for telling that the process is another one than before.
  std::optional<double> started_at;        // a start time on whatever clock the engine uses
  std::optional<std::uint64_t> work_done;  // a counter that only grows while the process lives
};

enum class HealthCost : std::uint8_t {
  kCheap,
  kRunsRequest,  // the check generates a token and queues behind other requests
};

struct Adapter {
  Runtime runtime = Runtime::kOpenai;
  std::string_view title;  // for people: "vLLM"
  std::string_view health_path;
  HealthCost health_cost = HealthCost::kCheap;
  std::string_view models_path;
  std::string_view identity_path;              // empty: the runtime has none
  std::array<std::string_view, 2> load_paths;  // the better one first; empty: none

  HealthVerdict (*read_health)(const Answer& answer);
  Result<std::vector<ServedModel>> (*read_models)(std::string_view body);
  Result<Identity> (*read_identity)(std::string_view body);
  // `path` is the one of load_paths that was asked.
  Result<LoadReading> (*read_load)(std::string_view path, std::string_view body, Instant now);
};

extern const Adapter kVllmAdapter;
extern const Adapter kSglangAdapter;
extern const Adapter kLlamacppAdapter;
extern const Adapter kOpenaiAdapter;

const Adapter& adapter_of(Runtime runtime);

// The verdict every runtime shares: 2xx is ready, no answer is failing, anything else is failing
// with its status.
HealthVerdict read_health_status(const Answer& answer);

// An OpenAI model list: `data[]` with id, parent (LoRA adapters), max_model_len or meta.n_ctx,
// aliases.
Result<std::vector<ServedModel>> read_model_list(std::string_view body);

}  // namespace infermesh::engines
