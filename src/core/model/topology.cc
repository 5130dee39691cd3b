#include "core/model/topology.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "core/model/topology_engines.h"

namespace infermesh {
namespace {

class Builder {
 public:
  Builder(const TopologyInput& input, TopologyMemory& memory) : input_(input), memory_(memory) {}

  Result<Topology> build() {
    auto engines = collect_engines(input_, memory_.ids, topology_.notes);
    if (!engines) return std::unexpected(engines.error());
    engines_ = std::move(*engines);
    for (const CollectedEngine& engine : engines_) {
      by_name_.emplace(engine.endpoint.name, &engine.endpoint);
      by_id_.emplace(engine.endpoint.id, &engine.endpoint);
      if (!engine.pool.empty()) named_pool_[engine.pool].push_back(engine.endpoint.id);
    }
    IM_TRY(add_explicit_pools());
    IM_TRY(add_implicit_pools());
    IM_TRY(add_model_objects());
    add_served_models();
    if (models_.size() > kModelsMax) {
      return fail(ErrorCode::kUnavailable,
                  fmt::format("{} models are served, the limit is {}", models_.size(), kModelsMax));
    }
    place_endpoints();
    place_models();
    place_ejections();
    topology_.view.generation = input_.generation;
    topology_.fresh = memory_.ids.take_fresh();
    return std::move(topology_);
  }

 private:
  Result<RoutingPolicyObject> policy_named(const std::string& name,
                                           const std::string& owner) const {
    for (const RoutingPolicyObject& policy : input_.objects.policies) {
      if (policy.name == name) return policy;
    }
    if (const auto kind = parse_policy_kind(name)) {
      RoutingPolicyObject policy;
      policy.name = name;
      policy.policy = *kind;
      return policy;
    }
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("{} names policy \"{}\", which does not exist", owner, name));
  }

  Pool& new_pool(PoolObject spec, RoutingPolicyObject policy) {
    const PoolId id(static_cast<std::uint16_t>(pools().size()));
    pool_ids_.emplace(spec.name, id);
    auto& load = memory_.pool_loads[spec.name];
    if (!load) load = std::make_shared<PoolLoad>();
    pools().push_back({id, std::move(spec), std::move(policy), {}, load});
    return pools().back();
  }

  Result<void> add_explicit_pools() {
    std::vector<const PoolObject*> specs;
    specs.reserve(input_.objects.pools.size());
    for (const PoolObject& spec : input_.objects.pools) specs.push_back(&spec);
    std::sort(specs.begin(), specs.end(), [](auto* a, auto* b) { return a->name < b->name; });
    for (const PoolObject* spec : specs) {
      RoutingPolicyObject policy = input_.policy_default;
      if (!spec->policy.empty()) {
        auto named = policy_named(spec->policy, fmt::format("Pool \"{}\"", spec->name));
        if (!named) return std::unexpected(named.error());
        policy = std::move(*named);
      }
      IM_TRY(add_members(new_pool(*spec, std::move(policy))));
    }
    return {};
  }

  Result<void> add_members(Pool& pool) {
    std::set<EndpointId> members;
    for (const std::string& name : pool.spec.engines) {
      const auto engine = by_name_.find(name);
      if (engine == by_name_.end()) {
        return fail(ErrorCode::kInvalidConfig,
                    fmt::format("Pool \"{}\" lists engine \"{}\", which does not exist",
                                pool.spec.name, name));
      }
      members.insert(engine->second->id);
    }
    if (const auto named = named_pool_.find(pool.spec.name); named != named_pool_.end()) {
      members.insert(named->second.begin(), named->second.end());
    }
    pool.endpoints.assign(members.begin(), members.end());
    pooled_.insert(members.begin(), members.end());
    for (EndpointId id : members) {
      limit_in_flight(id, pool.spec.in_flight_per_engine_max);
      for (const ServedModel& model : engine(id).models) note_served(model.name, pool.id);
    }
    return {};
  }

  // The tightest pool's limit holds, unless the engine's own object gives one.
  void limit_in_flight(EndpointId id, std::uint32_t most) {
    auto [entry, first] = in_flight_max_.emplace(id, most);
    if (!first) entry->second = std::min(entry->second, most);
  }

  // A pool for each base model that engines without a pool serve.
  Result<void> add_implicit_pools() {
    std::map<std::string, std::set<EndpointId>> members;           // by base model
    std::set<std::pair<std::string, std::string>> served_by_base;  // base, then model
    for (const CollectedEngine& collected : engines_) {
      const Endpoint& engine = collected.endpoint;
      if (pooled_.contains(engine.id)) continue;
      std::set<std::string> own;
      for (const ServedModel& model : engine.models) own.insert(model.name);
      for (const ServedModel& model : engine.models) {
        const bool adapter = own.contains(model.parent);
        const std::string& base = adapter ? model.parent : model.name;
        members[base].insert(engine.id);
        served_by_base.emplace(base, model.name);
      }
    }
    const std::size_t most = pools().size() + members.size() + input_.objects.models.size();
    if (most > kPoolsMax) {
      return fail(ErrorCode::kUnavailable,
                  fmt::format("{} pools are needed, the limit is {}", most, kPoolsMax));
    }
    std::map<std::string, PoolId> pool_of_base;
    for (auto& [base, ids] : members) {
      Pool& pool = implicit_pool(base);
      pool_of_base.emplace(base, pool.id);
      pool.endpoints.assign(ids.begin(), ids.end());
      for (EndpointId id : ids) limit_in_flight(id, pool.spec.in_flight_per_engine_max);
    }
    for (const auto& [base, model] : served_by_base) note_served(model, pool_of_base.at(base));
    return {};
  }

  Pool& implicit_pool(const std::string& model) {
    PoolObject spec = input_.pool_default;
    spec.name = model;
    while (pool_ids_.contains(spec.name)) spec.name += ".implicit";
    return new_pool(std::move(spec), input_.policy_default);
  }

  // The first pool with an engine that serves the name; pools are in order of preference.
  std::optional<PoolId> pool_serving(const std::string& served) const {
    const auto found = first_pool_.find(served);
    return found == first_pool_.end() ? std::nullopt : std::optional(found->second);
  }

  // Pools are told in order of preference; the first to serve a name keeps it.
  void note_served(const std::string& model, PoolId pool) {
    const auto [entry, first] = first_pool_.emplace(model, pool);
    if (first || entry->second == pool) return;
    if (!shared_names_.emplace(model, pool).second) return;
    topology_.notes.push_back(
        fmt::format("model \"{}\" is served by pool \"{}\"; the engines of pool \"{}\" that serve "
                    "it too are not "
                    "used for it, as a name leads to one pool",
                    model, pools()[entry->second.value].spec.name, pools()[pool.value].spec.name));
  }

  Result<void> add_model_objects() {
    std::vector<const ModelObject*> specs;
    specs.reserve(input_.objects.models.size());
    for (const ModelObject& spec : input_.objects.models) specs.push_back(&spec);
    std::sort(specs.begin(), specs.end(), [](auto* a, auto* b) { return a->name < b->name; });
    for (const ModelObject* spec : specs) {
      Model model;
      model.name = spec->name;
      model.served_name = spec->served_name.empty() ? spec->name : spec->served_name;
      model.expected_output_tokens = spec->expected_output_tokens;
      auto pool = pool_of(*spec, model.served_name);
      if (!pool) return std::unexpected(pool.error());
      model.pool = *pool;
      if (!spec->policy.empty()) {
        auto policy = policy_named(spec->policy, fmt::format("Model \"{}\"", spec->name));
        if (!policy) return std::unexpected(policy.error());
        model.policy = std::move(*policy);
      }
      for (const std::string& alias : spec->aliases) aliases_.emplace(alias, spec->name);
      models_.emplace(spec->name, std::move(model));
    }
    return {};
  }

  Result<PoolId> pool_of(const ModelObject& spec, const std::string& served) {
    if (!spec.pool.empty()) {
      const auto pool = pool_ids_.find(spec.pool);
      if (pool != pool_ids_.end()) return pool->second;
      return fail(ErrorCode::kInvalidConfig,
                  fmt::format("Model \"{}\" names pool \"{}\", which does not exist", spec.name,
                              spec.pool));
    }
    if (const auto pool = pool_serving(served)) return *pool;
    // Nothing serves it now: an empty pool makes that "no engine" and not "no such model".
    const PoolId id = implicit_pool(served).id;
    first_pool_.emplace(served, id);
    return id;
  }

  void add_served_models() {
    for (const auto& [served, pool] : first_pool_) {
      if (models_.contains(served) || aliases_.contains(served)) continue;
      Model model;
      model.name = model.served_name = served;
      model.pool = pool;
      models_.emplace(served, std::move(model));
    }
  }

  void place_endpoints() {
    auto& slots = topology_.view.endpoints;
    for (const CollectedEngine& engine : engines_) {
      const EndpointId id = engine.endpoint.id;
      if (slots.size() <= id.value) slots.resize(id.value + 1u);
      Endpoint& placed = slots[id.value].emplace(engine.endpoint);
      if (engine.limit_is_own) continue;
      const auto limit = in_flight_max_.find(id);
      placed.in_flight_max = limit == in_flight_max_.end()
                                 ? input_.pool_default.in_flight_per_engine_max
                                 : limit->second;
    }
  }

  void place_models() {
    MeshView& view = topology_.view;
    for (auto& [name, model] : models_) {
      model.id = ModelId(static_cast<std::uint32_t>(view.models.size()));
      for (EndpointId id : view.pools[model.pool.value].endpoints) add_if_served(model, id);
      model.created = memory_.model_created.emplace(name, input_.wall_now).first->second;
      view.names.emplace_back(name, model.id);
      view.models.push_back(std::move(model));
    }
    std::vector<std::pair<std::string, ModelId>> aliases;
    for (const auto& [alias, name] : aliases_) {
      if (!models_.contains(alias)) aliases.emplace_back(alias, view.find_model(name)->id);
    }
    view.names.insert(view.names.end(), aliases.begin(), aliases.end());
    std::sort(view.names.begin(), view.names.end());
    std::erase_if(memory_.pool_loads,
                  [this](const auto& entry) { return !pool_ids_.contains(entry.first); });
    std::erase_if(memory_.model_created,
                  [&](auto& entry) { return !models_.contains(entry.first); });
  }

  void add_if_served(Model& model, EndpointId id) const {
    for (const ServedModel& served : engine(id).models) {
      if (served.name != model.served_name) continue;
      model.endpoints.push_back(id);
      if (model.parent.empty()) model.parent = served.parent;
      model.context_max = std::max(model.context_max, served.context_max);
      return;
    }
  }

  void place_ejections() {
    MeshView& view = topology_.view;
    for (const EjectionFact& fact : input_.ejections) {
      const auto engine = by_name_.find(fact.engine);
      const Model* model = view.find_model(fact.model);
      if (engine == by_name_.end() || model == nullptr) continue;
      view.ejections.push_back(
          {engine->second->id, model->id, fact.until, fact.half_open, fact.reason, fact.since});
    }
    std::sort(view.ejections.begin(), view.ejections.end(), [](const auto& a, const auto& b) {
      return std::pair(a.endpoint, a.model) < std::pair(b.endpoint, b.model);
    });
  }

  const Endpoint& engine(EndpointId id) const { return *by_id_.at(id); }
  std::vector<Pool>& pools() { return topology_.view.pools; }

  const TopologyInput& input_;
  TopologyMemory& memory_;
  Topology topology_;
  std::vector<CollectedEngine> engines_;  // sorted by name
  std::map<std::string, const Endpoint*> by_name_;
  std::map<EndpointId, const Endpoint*> by_id_;
  std::map<std::string, std::vector<EndpointId>> named_pool_;  // by the pool that engines name
  std::set<EndpointId> pooled_;                                // in a Pool object
  std::map<EndpointId, std::uint32_t> in_flight_max_;
  std::map<std::string, PoolId> pool_ids_;
  std::map<std::string, PoolId> first_pool_;               // by served name
  std::set<std::pair<std::string, PoolId>> shared_names_;  // noted already
  std::map<std::string, Model> models_;
  std::map<std::string, std::string> aliases_;
};

}  // namespace

Result<Topology> build_view(const TopologyInput& input, TopologyMemory& memory) {
  return Builder(input, memory).build();
}

}  // namespace infermesh
