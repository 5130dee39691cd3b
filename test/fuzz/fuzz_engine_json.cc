// Engines' JSON answers and detection: no bytes crash a reader; lists are bounded and without
// doubles; reports stay in range; detection ends after a few GETs of its fixed paths whatever the
// server answers.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

#include "wire/engine/adapter.h"
#include "wire/engine/detect.h"

namespace {

using namespace infermesh;
using namespace infermesh::engines;

void require(bool condition) {
  if (!condition) std::abort();
}

void check_models(std::string_view body) {
  const auto models = read_model_list(body);
  if (!models) return;
  require(models->size() <= kServedModelsMax);
  std::set<std::string> names;
  for (const ServedModel& model : *models) {
    require(!model.name.empty() && names.insert(model.name).second);
    if (model.context_max) require(model.context_max->value > 0);
  }
}

void check_list(const Adapter& adapter, std::string_view body) {
  const auto models = adapter.read_models(body);
  if (models) require(models->size() <= kServedModelsMax);
}

void check_load(const Adapter& adapter, std::string_view path, std::string_view body) {
  const auto reading = adapter.read_load(path, body, Instant{});
  if (!reading) return;
  const EngineReport& report = reading->report;
  if (report.kv_used) require(*report.kv_used >= 0 && *report.kv_used <= 1);
  if (report.running) require(*report.running <= INT32_MAX);
  if (report.waiting_prompt_tokens) require(report.waiting_prompt_tokens->value >= 0);
  if (reading->concurrency_max) require(*reading->concurrency_max <= INT32_MAX);
}

// The input as the answers of one server, one after the other.
void check_detection(std::string_view input) {
  constexpr std::array<std::uint16_t, 5> kStatuses{200, 401, 404, 503, 0};
  constexpr std::array<std::string_view, 9> kPaths{"/v1/models",   "/ping",        "/",
                                                   "/api/version", "/v2",          "/props",
                                                   "/info",        "/server_info", "/metrics"};
  Detection detection;
  int asked = 0;
  while (!detection.decided()) {
    require(++asked <= 8);
    require(std::count(kPaths.begin(), kPaths.end(), detection.next_path()) == 1);
    Answer answer;
    const std::size_t end = std::min(input.find('\0'), input.size());
    answer.body = input.substr(0, end);
    input.remove_prefix(std::min(end + 1, input.size()));
    if (!answer.body.empty()) {
      answer.status = kStatuses[static_cast<unsigned char>(answer.body.front()) % 5];
      answer.body.remove_prefix(1);
    }
    detection.on_answer(answer);
  }
  require(detection.next_path().empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  check_models(body);
  check_load(kSglangAdapter, "/v1/loads", body);
  check_load(kLlamacppAdapter, "/slots", body);
  check_load(kInfinityAdapter, "/v1/models", body);
  check_load(kTorchserveAdapter, "/models/{model}", body);
  for (std::size_t i = 0; i + 1 < kRuntimes; ++i) {
    const auto runtime = static_cast<Runtime>(i);
    check_list(adapter_of(runtime), body);
    const auto identity = adapter_of(runtime).read_identity(body);
    if (identity && identity->concurrency_max) require(*identity->concurrency_max <= INT32_MAX);
    adapter_of(runtime).read_health({.status = 503, .body = body});
    adapter_of(runtime).read_health({.status = 200, .body = body});
  }
  check_detection(body);
  return 0;
}
