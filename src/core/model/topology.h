// build_view: mesh objects + what was found of the engines -> a MeshView. Pure, deterministic
// (everything is ordered by name), no partial result: an error leaves the view that is in use in
// place.
//
// Pools. An engine belongs to the Pool objects that list it and to the one that its spec names.
// Engines in no pool form implicit pools: all that serve a model share a pool named after it; a
// LoRA adapter shares its parent's pool. Models. A Model object says what clients may ask for;
// every name that an engine of a pool serves is a model too, unless an object or alias has the
// name. When several pools serve a name, Pool objects come before implicit pools, then by name.
// Names. An engine's own list counts when it is known; until then the object's list does. Names in
// the object narrow the engine's list, and replace it for runtimes that take any name (llama.cpp,
// SGLang).
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/model/endpoint_ids.h"
#include "core/model/mesh_view.h"
#include "core/model/objects.h"

namespace infermesh {

constexpr std::size_t kPoolsMax = 65535;           // of a view, implicit ones too; more is an error
constexpr std::size_t kModelsMax = 65536;          // models of a view; more is an error
constexpr std::size_t kModelsPerEngineMax = 1024;  // of one engine; more are left out, with a note

// What the signal plane knows of one engine. For an engine of an object, `name` is the object's;
// others are discovered.
struct EngineFacts {
  std::string name;
  std::string url;  // http://HOST:PORT
  std::optional<Runtime> runtime;
  std::string version;
  std::optional<std::vector<ServedModel>> models;  // absent: not yet told
  std::optional<std::uint32_t> concurrency_max;
  EndpointState state = EndpointState::kJoining;
  std::string reason;  // why it is not ready, one sentence
  Instant since{};
};

// An ejection by names, as ids change from view to view.
struct EjectionFact {
  std::string engine;
  std::string model;
  Instant until{};
  bool half_open = false;
  std::string reason;
  Instant since{};
};

struct TopologyInput {
  const ObjectSet& objects;
  std::span<const EngineFacts> found;
  std::span<const EjectionFact> ejections;
  PoolObject pool_default;             // of implicit pools; its name is not used
  RoutingPolicyObject policy_default;  // of pools that name none
  std::map<std::string, std::string>
      api_keys;  // value by name of environment variable (EngineObject::api_key_env)
  std::uint64_t generation = 0;
  Instant now{};
  WallTime wall_now{};
};

// What is kept between builds. Owned by the caller, one thread.
struct TopologyMemory {
  EndpointIds ids;
  std::map<std::string, WallTime> model_created;  // when a model's name was first seen
  std::map<std::string, std::shared_ptr<PoolLoad>> pool_loads;
};

struct Topology {
  MeshView view;
  std::vector<EndpointId> fresh;  // ids given to other engines than before: reset their load cells
  std::vector<std::string>
      notes;  // what was left out and why, a sentence each; for the log and `infermesh check`
};

// kInvalidConfig: an object refers to what is not there, or a URL cannot be read. kUnavailable:
// over a limit.
Result<Topology> build_view(const TopologyInput& input, TopologyMemory& memory);

}  // namespace infermesh
