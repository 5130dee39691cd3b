// TensorFlow Serving and TorchServe. The first lists no models and has no health page: each model
// that its Engine object names is asked for. The second keeps its models and their queues on a
// management port.
#include "wire/engine/described.h"
#include "wire/engine/json_read.h"
#include "wire/engine/sum.h"

namespace infermesh::engines {
namespace {

Adapter tensorflow_serving() {
  RuntimeObject object;
  object.health_path = "/v1/models/{model}";
  object.health_value = "/model_version_status/*/state";
  object.ready_values = {"AVAILABLE"};
  object.loading_values = {"START", "LOADING"};
  object.models_path = object.health_path;  // a model that is available is served
  return described_adapter(Runtime::kTensorflowServing, "TensorFlow Serving", object);
}

// The description of one model: an entry a version.
Result<LoadReading> read_torchserve_model(std::string_view, std::string_view body, Instant now) {
  const auto versions = parse_json(body);
  if (!versions) return std::unexpected(versions.error());
  if (!versions->is_array()) {
    return fail(ErrorCode::kUpstreamBadResponse, "a model's description is not an array");
  }
  Sum pending;
  Sum slots;
  for (const Json& version : versions->get_array()) {
    const Json* queue = member(version, "jobQueueStatus");
    if (queue != nullptr) pending.add(number_of(*queue, "pendingRequests").value_or(-1));
    const double batch = number_of(version, "batchSize").value_or(1);
    for_each_match(version, "/workers/*/status", [&](const Json& status) {
      slots.add(scalar_text(status) == "READY" ? batch : 0);
    });
  }
  LoadReading reading;
  reading.report.waiting = pending.count32();
  reading.report.read_at = now;
  const auto ready = slots.count32();
  if (ready && *ready > 0) reading.concurrency_max = ready;
  return reading;
}

Adapter torchserve() {
  RuntimeObject object;
  object.health_path = "/ping";
  object.health_value = "/status";
  object.ready_values = {"Healthy", "Partial Healthy"};
  object.models_path = "/models";
  object.models_name = "/models/*/modelName";
  object.identity_path = "/api-description";
  object.version = "/info/version";
  Adapter adapter = described_adapter(Runtime::kTorchserve, "TorchServe", object);
  adapter.models = {"/models?limit=1000", Port::kManagement};
  adapter.load = {Page{"/models/{model}", Port::kManagement}, Page{}};
  adapter.read_load = read_torchserve_model;
  adapter.ports = {8080, 8082, 8081};
  return adapter;
}

}  // namespace

const Adapter kTensorflowServingAdapter = tensorflow_serving();
const Adapter kTorchserveAdapter = torchserve();

}  // namespace infermesh::engines
