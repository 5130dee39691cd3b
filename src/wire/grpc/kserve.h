// The KServe v2 service as the router knows it (Open Inference Protocol, Triton's extensions):
// which method is routed by which model, and where the model's name stands. Messages are scanned by
// their top-level fields only (protobuf wire format); tensors are skipped by their length.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace infermesh::grpc {

enum class Handling : std::uint8_t {
  kByModel,    // to an engine that serves the model of field 1
  kLive,       // answered by the router
  kReady,      // answered by the router: can any engine be asked by gRPC
  kHealth,     // grpc.health.v1.Health/Check, the same
  kMetadata,   // answered by the router, about itself
  kIndex,      // answered by the router: the models of the mesh
  kOneEngine,  // changes or reads one engine's own state: refused, ask that engine
  kUnknown,
};
struct Method {
  Handling handling = Handling::kUnknown;
  bool streams = false;  // the call lasts as long as its streams do
  bool infers = false;   // its messages are ModelInferRequests
};
Method find_method(std::string_view path);  // "/inference.GRPCInferenceService/ModelInfer"

struct ModelScan {
  enum class State : std::uint8_t { kNeedMore, kFound, kAbsent };
  State state = State::kNeedMore;
  std::string model;
};
// The first `model_name` (or `name`) among the fields of a message that begins with `bytes`. An
// error when they are no protobuf message.
Result<ModelScan> scan_model(std::string_view bytes, bool whole);

struct SequenceScan {
  bool settled = false;  // nothing that may follow changes it
  std::string id;        // as text, whichever type it has; empty: none so far, or 0
};
// parameters["sequence_id"] of a ModelInferRequest that begins with `bytes`, wherever it stands
// among them. An id longer than kSequenceIdMax is none.
constexpr std::size_t kSequenceIdMax = 128;
SequenceScan scan_sequence(std::string_view bytes, bool whole);

// ---- answers of the router itself, as messages
std::string bool_answer(bool value);  // ServerLive, ServerReady (field 1)
std::string health_answer(bool serving);
std::string metadata_answer(std::string_view name, std::string_view version);
std::string index_answer(const std::vector<std::string>& ready_models);

}  // namespace infermesh::grpc
