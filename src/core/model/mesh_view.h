// MeshView: one immutable picture of engines, pools and models that every shard reads. It is
// replaced whole when an object changes, an engine's model list changes, or a health state changes;
// load is not in it (see load_table.h). Built by core/model/topology from the objects and what the
// signal plane found; published as shared_ptr<const>.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "core/model/engine_url.h"
#include "core/model/load_table.h"
#include "core/model/objects.h"

namespace infermesh {

enum class EndpointState : std::uint8_t {
  kJoining,   // known, not yet seen healthy
  kReady,     // takes requests
  kSuspect,   // a probe or request failed; takes requests only when no ready one can
  kDown,      // does not answer
  kDraining,  // finishes what it has
};
std::string_view to_string(EndpointState state);

// A model as an engine serves it.
struct ServedModel {
  std::string name;
  std::string parent;                 // base model when this is a LoRA adapter, else empty
  std::optional<Tokens> context_max;  // prompt + output
  bool operator==(const ServedModel&) const = default;
};

struct Endpoint {
  EndpointId id;
  std::string name;  // the engine's name, unique
  std::string host;  // name or address literal
  std::uint16_t port = 0;
  std::string authority;          // host:port, the Host header
  std::optional<TlsOptions> tls;  // absent: plain TCP
  EngineUrl grpc;                 // where it speaks gRPC; no host: it does not
  std::optional<TlsOptions> grpc_tls;
  Runtime runtime = Runtime::kOpenai;
  std::string described_by;                 // the Runtime object's name; empty: built in
  ApiSet apis = apis_of(Runtime::kOpenai);  // what may be asked of it
  std::string openai_prefix = "/v1";        // for "/v1" in paths sent to it; "/": nothing
  std::string version;                      // runtime's own, empty when unknown
  EndpointState state = EndpointState::kJoining;
  std::string state_reason;  // why it is not ready, one sentence
  Instant state_since{};
  std::vector<ServedModel> models;
  std::optional<std::uint32_t>
      concurrency_max;                // slots the engine itself runs at once, when it tells
  std::uint32_t in_flight_max = 256;  // requests the router sends at once
  std::uint32_t weight = 100;
  std::string api_key;  // sent upstream as a bearer token; never shown

  std::string_view runtime_name() const {
    return described_by.empty() ? to_string(runtime) : described_by;
  }
};

// An engine that the breaker or outlier detection took out for one model.
struct Ejection {
  EndpointId endpoint;
  ModelId model;
  Instant until{};         // kNever while it must prove itself by a probe
  bool half_open = false;  // one trial request may pass
  std::string reason;
  Instant since{};
};

struct Pool {
  PoolId id;
  PoolObject spec;
  RoutingPolicyObject policy;
  std::vector<EndpointId> endpoints;  // ascending
  std::shared_ptr<PoolLoad> load;     // of all shards; null in views of no running mesh
};

struct Model {
  ModelId id;
  std::string name;         // what clients ask for
  std::string served_name;  // what the engines call it
  PoolId pool;
  std::optional<RoutingPolicyObject> policy;  // overrides the pool's
  std::uint32_t expected_output_tokens = 256;
  std::string parent;  // base model of a LoRA adapter
  std::optional<Tokens> context_max;
  WallTime created{};
  std::vector<EndpointId> endpoints;  // of the pool, those that serve it; ascending
};

struct MeshView {
  std::uint64_t generation = 0;
  std::vector<std::optional<Endpoint>> endpoints;      // index = EndpointId
  std::vector<Pool> pools;                             // index = PoolId
  std::vector<Model> models;                           // index = ModelId, sorted by name
  std::vector<std::pair<std::string, ModelId>> names;  // names and aliases, sorted
  std::vector<Ejection> ejections;                     // sorted by (endpoint, model); few

  const Endpoint* endpoint(EndpointId id) const;
  // By name or alias. A name of Ollama's form may leave its tag `:latest` out, or have it where the
  // model's name has none.
  const Model* find_model(std::string_view name) const;
  // The same engines serve it as NAME:latest, which is the name that lists show.
  bool is_short_name(const Model& model) const;
  const Ejection* find_ejection(EndpointId endpoint, ModelId model) const;
};

using MeshViewPtr = std::shared_ptr<const MeshView>;

}  // namespace infermesh
