// The paths of the KServe v2 protocol (Open Inference Protocol and Triton's extensions of it):
// which call a path is, and which model it names. The model is decoded once and may have any
// character but a bare '/'; the version is any text. And the two older protocols beside it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/model/api.h"

namespace infermesh::kserve {

enum class Call : std::uint8_t {
  kServerMetadata,  // GET /v2
  kLive,            // GET /v2/health/live
  kReady,           // GET /v2/health/ready
  kIndex,           // POST /v2/repository/index
  kInfer,           // POST /v2/models/M[/versions/V]/infer
  kInferStream,     // the same with an event stream as its answer (MLServer)
  kGenerate,        // POST .../generate
  kGenerateStream,
  kModelInfo,   // GET /v2/models/M[/versions/V][/ready|config|stats]
  kControl,     // POST /v2/repository/models/M/load, unload
  kServerOnly,  // acts on one server: shared memory, trace, logging, stats of all
};

struct Target {
  Call call = Call::kServerMetadata;
  std::string model;  // decoded; empty: the call names none
};

// nullopt: not a path of the protocol.
std::optional<Target> parse_path(std::string_view path);

// The routes of KServe's elders that name a model in their path, of which nothing else is read:
//   TensorFlow Serving  /v1/models/M[/versions/N|/labels/L]:predict, :classify, :regress
//   TorchServe          /predictions/M[/V], /explanations/M[/V]
struct PredictTarget {
  Api api = Api::kPredict;
  std::string model;  // decoded
};
std::optional<PredictTarget> parse_predict_path(std::string_view path);

// The path with the model's segment replaced. `path` is one that a model was found in.
std::string with_model(std::string_view path, std::string_view model);

}  // namespace infermesh::kserve
