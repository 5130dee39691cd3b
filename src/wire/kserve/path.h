// The paths of the KServe v2 protocol (Open Inference Protocol and Triton's extensions of it):
// which call a path is, and which model it names. The model is decoded once and may have any
// character but a bare '/'; the version is any text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

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
  kServerOnly,  // acts on one server: load, unload, shared memory, trace, logging, stats of all
};

struct Target {
  Call call = Call::kServerMetadata;
  std::string model;  // decoded; empty: the call names none
};

// nullopt: not a path of the protocol.
std::optional<Target> parse_path(std::string_view path);

// The path with the model's segment replaced. `path` is one that parse_path found a model in.
std::string with_model(std::string_view path, std::string_view model);

}  // namespace infermesh::kserve
