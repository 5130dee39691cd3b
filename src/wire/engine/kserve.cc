// The servers of KServe's v2 protocol: Triton, MLServer and OpenVINO's. Ready and metadata pages
// are the same; the models are told by a POST that only reads (OpenVINO: by its configuration), and
// the metrics are each server's own. Running requests are not exported by Triton without
// TensorRT-LLM.
#include <fmt/format.h>

#include "wire/engine/described.h"
#include "wire/engine/json_read.h"

namespace infermesh::engines {
namespace {

constexpr std::string_view kReadyPath = "/v2/health/ready";

// "Not ready" does not say whether it ever will be; a server that answers so is waited for.
HealthVerdict read_health(const Answer& answer) {
  const bool not_ready = answer.status == 503 || (answer.status >= 400 && answer.status < 500);
  const bool other = answer.status == 401 || answer.status == 403 || answer.status == 404;
  if (!not_ready || other) return read_health_status(answer);
  return {Health::kLoading,
          fmt::format("its models are not all ready ({} answers {})", kReadyPath, answer.status)};
}

// Each version of a model is an entry. Servers that keep no state leave it out.
Result<std::vector<ServedModel>> read_repository_index(std::string_view body) {
  const auto index = parse_json(body);
  if (!index) return std::unexpected(index.error());
  const auto* entries = index->if_array();
  if (entries == nullptr) {
    return fail(ErrorCode::kUpstreamBadResponse, "the repository index is not an array");
  }
  std::vector<ServedModel> models;
  for (const Json& entry : *entries) {
    const std::string_view state = text_of(entry, "state");
    if (state.empty() || state == "READY") {
      add_model(models, {std::string(text_of(entry, "name")), {}, std::nullopt});
    }
  }
  return models;
}

// A map by model; each has versions with a state.
Result<std::vector<ServedModel>> read_openvino_config(std::string_view body) {
  const auto config = parse_json(body);
  if (!config) return std::unexpected(config.error());
  const auto* servables = config->if_object();
  if (servables == nullptr) {
    return fail(ErrorCode::kUpstreamBadResponse, "/v1/config is not a map of models");
  }
  std::vector<ServedModel> models;
  for (const auto& servable : *servables) {
    bool available = false;
    for_each_match(servable.value(), "/model_version_status/*/state", [&](const Json& state) {
      available = available || scalar_text(state) == "AVAILABLE";
    });
    const auto name = servable.key();
    if (available) add_model(models, {std::string(name.data(), name.size()), {}, std::nullopt});
  }
  return models;
}

RuntimeObject kserve_object() {
  RuntimeObject object;
  object.health_path = kReadyPath;
  object.identity_path = "/v2";
  object.load_path = "/metrics";
  return object;
}

Adapter kserve_adapter(Runtime runtime, std::string title, const RuntimeObject& object) {
  Adapter adapter = described_adapter(runtime, std::move(title), object);
  adapter.read_health = read_health;
  adapter.models = {"/v2/repository/index", Port::kMain, R"({"ready":true})"};
  adapter.read_models = read_repository_index;
  return adapter;
}

Adapter triton() {
  RuntimeObject object = kserve_object();
  object.running = {R"(nv_trt_llm_request_metrics{request_type="active"})"};
  object.waiting = {R"(nv_trt_llm_request_metrics{request_type="waiting"})",
                    "nv_inference_pending_request_count"};
  object.concurrency_max = {R"(nv_trt_llm_request_metrics{request_type="max"})"};
  object.kv_used = {R"(nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="fraction"})"};
  object.kv_tokens = {R"(nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="max"} * )"
                      R"(nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="tokens_per"})"};
  object.work_done = {"nv_inference_request_success"};
  Adapter adapter = kserve_adapter(Runtime::kTriton, "Triton", object);
  adapter.ports = {8000, 8002, 0};
  return adapter;
}

Adapter mlserver() {
  RuntimeObject object = kserve_object();
  object.running = {R"(rest_server_requests_in_progress{method="POST"})"};
  object.started_at = {"process_start_time_seconds"};
  object.work_done = {"model_infer_request_success"};
  Adapter adapter = kserve_adapter(Runtime::kMlserver, "MLServer", object);
  adapter.ports = {8080, 8082, 0};
  return adapter;
}

Adapter openvino() {
  RuntimeObject object = kserve_object();
  object.running = {"ovms_current_requests + ovms_current_graphs"};
  Adapter adapter = kserve_adapter(Runtime::kOpenvino, "OpenVINO Model Server", object);
  adapter.models = {"/v1/config"};
  adapter.read_models = read_openvino_config;
  return adapter;
}

}  // namespace

const Adapter kTritonAdapter = triton();
const Adapter kMlserverAdapter = mlserver();
const Adapter kOpenvinoAdapter = openvino();

}  // namespace infermesh::engines
