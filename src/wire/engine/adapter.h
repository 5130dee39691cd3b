// Adapter: what the router knows of one runtime: which pages tell its state and how to read the
// answers. The readers are pure functions of an answer, so they are tested on captured pages. An
// adapter is written in C++ (vllm.cc), or made of a description (described.h), whole or in part.
// Facts about the runtimes' HTTP surfaces are in the README of this folder.
//
// Every page is read without a side effect. Reads fail with kUpstreamBadResponse; what an engine
// does not tell is absent, never zero.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/model/api.h"
#include "core/model/load_table.h"
#include "core/model/mesh_view.h"
#include "wire/engine/page.h"

namespace infermesh::engines {

constexpr std::size_t kServedModelsMax = 1024;  // of one engine; further ones are left out

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
  std::string title{};  // for people: "vLLM"
  Page health{};
  HealthCost health_cost = HealthCost::kCheap;
  Page models{};               // none: the Engine object names them
  Page identity{};             // none: it tells no version
  std::array<Page, 2> load{};  // the better one first; none: it tells no load
  DefaultPorts ports{};

  std::function<HealthVerdict(const Answer& answer)> read_health;
  std::function<Result<std::vector<ServedModel>>(std::string_view body)> read_models;
  std::function<Result<Identity>(std::string_view body)> read_identity;
  // `path` is the one of `load` that was asked.
  std::function<Result<LoadReading>(std::string_view path, std::string_view body, Instant now)>
      read_load;
};

extern const Adapter kVllmAdapter;
extern const Adapter kSglangAdapter;
extern const Adapter kLlamacppAdapter;
extern const Adapter kOpenaiAdapter;
extern const Adapter kTgiAdapter;
extern const Adapter kOllamaAdapter;
extern const Adapter kInfinityAdapter;
extern const Adapter kTritonAdapter;
extern const Adapter kMlserverAdapter;
extern const Adapter kOpenvinoAdapter;
extern const Adapter kTensorflowServingAdapter;
extern const Adapter kTorchserveAdapter;

const Adapter& adapter_of(Runtime runtime);  // not for kDescribed, which has described_adapter()

// Adds what one page tells of a model to what others told: counts are sums, fractions maxima.
void add_reading(LoadReading& sum, const LoadReading& reading);

// Puts a model into a list unless its name is there or empty, or the list is full.
void add_model(std::vector<ServedModel>& models, ServedModel model);

// The verdict every runtime shares: 2xx is ready, no answer is failing, anything else is failing
// with its status.
HealthVerdict read_health_status(const Answer& answer);

// An OpenAI model list: `data[]` with id, parent (LoRA adapters), max_model_len or meta.n_ctx,
// aliases.
Result<std::vector<ServedModel>> read_model_list(std::string_view body);

}  // namespace infermesh::engines
