#include "core/model/topology_engines.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/model/engine_url.h"

namespace infermesh {
namespace {

const RuntimeObject* described_runtime(const ObjectSet& objects, std::string_view name) {
  for (const RuntimeObject& runtime : objects.runtimes) {
    if (runtime.name == name) return &runtime;
  }
  return nullptr;
}

// Names that are none are left out: the objects' reader has refused them.
ApiSet apis_named(const std::vector<std::string>& names, ApiSet otherwise) {
  if (names.empty()) return otherwise;
  ApiSet apis;
  for (const std::string& name : names) {
    if (const auto api = parse_api(name)) apis.add(*api);
  }
  return apis;
}

void set_built_in(Endpoint& endpoint, Runtime runtime) {
  endpoint.runtime = runtime;
  endpoint.apis = apis_of(runtime);
  endpoint.openai_prefix = openai_prefix_of(runtime);
}

bool takes_any_model_name(Runtime runtime) {
  return runtime == Runtime::kLlamacpp || runtime == Runtime::kSglang;
}

// The names that the object gives, with what the engine says about each.
std::vector<ServedModel> models_by_object(const EngineObject& object, const EngineFacts* facts,
                                          Runtime runtime) {
  const bool told = facts != nullptr && facts->models.has_value();
  std::vector<ServedModel> models;
  for (const std::string& name : object.models) {
    const ServedModel* known = nullptr;
    if (told) {
      for (const ServedModel& served : *facts->models) {
        if (served.name == name) known = &served;
      }
    }
    if (known != nullptr) {
      models.push_back(*known);
    } else if (!told || takes_any_model_name(runtime)) {
      // One model under another name keeps the context of the one there is.
      const bool single = told && facts->models->size() == 1;
      models.push_back({name, {}, single ? facts->models->front().context_max : std::nullopt});
    }
  }
  return models;
}

class Collector {
 public:
  Collector(const TopologyInput& input, EndpointIds& ids, std::vector<std::string>& notes)
      : input_(input), ids_(ids), notes_(notes) {}

  Result<std::vector<CollectedEngine>> collect() {
    for (const EngineFacts& facts : input_.found) facts_.emplace(facts.name, &facts);
    for (const EngineObject& object : input_.objects.engines) IM_TRY(add_object(object));
    for (const auto& [name, facts] : facts_) IM_TRY(add_found(*facts));
    IM_TRY(give_ids());
    std::vector<CollectedEngine> engines;
    engines.reserve(engines_.size());
    for (auto& [name, engine] : engines_) engines.push_back(std::move(engine));
    return engines;
  }

 private:
  Result<void> add_object(const EngineObject& object) {
    const auto found = facts_.find(object.name);
    const EngineFacts* facts = found == facts_.end() ? nullptr : found->second;
    CollectedEngine engine;
    engine.pool = object.pool;
    IM_TRY(set_address(engine.endpoint, object.name, object.url));
    if (engine.endpoint.tls) engine.endpoint.tls = object.tls_options();
    add_facts(engine.endpoint, facts);
    IM_TRY(set_runtime(engine.endpoint, object));
    IM_TRY(set_grpc_address(engine.endpoint, object));
    if (!object.models.empty()) {
      engine.endpoint.models = models_by_object(object, facts, engine.endpoint.runtime);
    }
    engine.endpoint.weight = object.weight;
    if (object.in_flight_max) {
      engine.endpoint.in_flight_max = *object.in_flight_max;
      engine.limit_is_own = true;
    }
    if (object.drain && engine.endpoint.state != EndpointState::kDown) {
      engine.endpoint.state = EndpointState::kDraining;
      engine.endpoint.state_reason = "its object says drain";
    }
    set_key(engine.endpoint, object);
    finish(std::move(engine));
    return {};
  }

  Result<void> add_found(const EngineFacts& facts) {
    if (engines_.contains(facts.name)) return {};
    CollectedEngine engine;
    IM_TRY(set_address(engine.endpoint, facts.name, facts.url));
    if (addresses_.contains(engine.endpoint.authority)) return {};
    add_facts(engine.endpoint, &facts);
    finish(std::move(engine));
    return {};
  }

  static Result<void> set_grpc_address(Endpoint& endpoint, const EngineObject& object) {
    if (object.grpc_url.empty()) {
      if (!endpoint.apis.contains(Api::kGrpc)) return {};
      return fail(
          ErrorCode::kInvalidConfig,
          fmt::format("engine \"{}\" is said to serve grpc, but has no grpc_url", object.name),
          "grpc_url");
    }
    auto address = parse_engine_url(object.grpc_url);
    if (!address) {
      return fail(
          ErrorCode::kInvalidConfig,
          fmt::format("the grpc_url of engine \"{}\": {}", object.name, address.error().detail),
          "grpc_url");
    }
    if (address->scheme == Scheme::kHttps) endpoint.grpc_tls = object.tls_options();
    endpoint.grpc = std::move(*address);
    endpoint.apis.add(Api::kGrpc);
    return {};
  }

  Result<void> set_runtime(Endpoint& endpoint, const EngineObject& object) {
    if (!object.runtime.empty()) {
      const auto built_in = parse_runtime(object.runtime);
      const RuntimeObject* described = described_runtime(input_.objects, object.runtime);
      if (!built_in && described == nullptr) {
        return fail(ErrorCode::kInvalidConfig,
                    fmt::format("engine \"{}\" names runtime \"{}\", which does not exist",
                                object.name, object.runtime));
      }
      set_built_in(endpoint, built_in.value_or(Runtime::kDescribed));
      if (!built_in) {
        endpoint.described_by = described->name;
        endpoint.apis = apis_named(described->apis, endpoint.apis);
        endpoint.openai_prefix = described->openai_prefix;
      }
    }
    endpoint.apis = apis_named(object.apis, endpoint.apis);
    return {};
  }

  static Result<void> set_address(Endpoint& endpoint, const std::string& name,
                                  const std::string& url) {
    auto address = parse_engine_url(url);
    if (!address) {
      return fail(ErrorCode::kInvalidConfig,
                  fmt::format("the url of engine \"{}\": {}", name, address.error().detail), "url");
    }
    endpoint.name = name;
    endpoint.host = std::move(address->host);
    endpoint.port = address->port;
    endpoint.authority = std::move(address->authority);
    if (address->scheme == Scheme::kHttps) endpoint.tls.emplace();
    return {};
  }

  void add_facts(Endpoint& endpoint, const EngineFacts* facts) {
    if (facts == nullptr) {
      endpoint.state_reason = "not yet asked";
      return;
    }
    if (facts->runtime) set_built_in(endpoint, *facts->runtime);
    endpoint.version = facts->version;
    endpoint.concurrency_max = facts->concurrency_max;
    endpoint.state = facts->state;
    endpoint.state_reason = facts->reason;
    endpoint.state_since = facts->since;
    if (!facts->models) return;
    endpoint.models = *facts->models;
    if (endpoint.models.size() > kModelsPerEngineMax) {
      notes_.push_back(fmt::format("engine \"{}\" serves {} models; only the first {} are used",
                                   facts->name, endpoint.models.size(), kModelsPerEngineMax));
      endpoint.models.resize(kModelsPerEngineMax);
    }
  }

  void set_key(Endpoint& endpoint, const EngineObject& object) {
    if (object.api_key_env.empty()) return;
    const auto key = input_.api_keys.find(object.api_key_env);
    if (key != input_.api_keys.end() && !key->second.empty()) {
      endpoint.api_key = key->second;
      return;
    }
    notes_.push_back(
        fmt::format("engine \"{}\": environment variable {} is not set; requests go without a key",
                    object.name, object.api_key_env));
  }

  void finish(CollectedEngine engine) {
    // Healthy, but it has not told what it serves: nothing can be sent to it yet.
    if (engine.endpoint.state == EndpointState::kReady && engine.endpoint.models.empty()) {
      engine.endpoint.state = EndpointState::kJoining;
      engine.endpoint.state_reason = "its models are not known yet";
    }
    addresses_.insert(engine.endpoint.authority);
    std::string name = engine.endpoint.name;
    engines_.emplace(std::move(name), std::move(engine));
  }

  // Another address under the same name is another engine: its load and cache are not the old
  // one's.
  static std::string key_of(const Endpoint& endpoint) {
    return fmt::format("{} {}", endpoint.name, endpoint.authority);
  }

  Result<void> give_ids() {
    std::set<std::string, std::less<>> live;
    for (const auto& [name, engine] : engines_) live.insert(key_of(engine.endpoint));
    ids_.keep_only(live, input_.now);
    for (auto& [name, engine] : engines_) {
      auto id = ids_.assign(key_of(engine.endpoint), input_.now);
      if (!id) return std::unexpected(id.error());
      engine.endpoint.id = *id;
    }
    return {};
  }

  const TopologyInput& input_;
  EndpointIds& ids_;
  std::vector<std::string>& notes_;
  std::map<std::string, const EngineFacts*> facts_;
  std::map<std::string, CollectedEngine> engines_;
  std::set<std::string> addresses_;
};

}  // namespace

Result<std::vector<CollectedEngine>> collect_engines(const TopologyInput& input, EndpointIds& ids,
                                                     std::vector<std::string>& notes) {
  return Collector(input, ids, notes).collect();
}

}  // namespace infermesh
