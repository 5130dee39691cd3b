#include "data/shard/shard.h"

#include <algorithm>

#include "base/assert.h"

namespace infermesh::data {
namespace {

constexpr std::size_t kScratchBytes = 64 << 10;
constexpr Duration kTroubleMemory = 60s;  // how long successes are reported after a failure

}  // namespace

Shard::Shard(Borrowed borrowed)
    : loop(borrowed.loop),
      settings(borrowed.settings),
      loads(borrowed.loads),
      prefixes(borrowed.prefixes),
      homes(borrowed.homes),
      log(borrowed.log),
      spans(borrowed.spans),
      meter(borrowed.metrics, borrowed.access_log),
      view(std::make_shared<const MeshView>()),
      rng(borrowed.loop.entropy()),
      upstream(borrowed.loop,
               {borrowed.settings.upstream_idle_max, borrowed.settings.upstream_idle_timeout}),
      admission(borrowed.loop),
      decisions(borrowed.settings.decisions_kept),
      scratch(kScratchBytes),
      http2_upstream(borrowed.loop, scratch, {}),
      report_(std::move(borrowed.report)),
      endpoint_trouble_(kTroubleMemory),
      model_trouble_(kTroubleMemory) {}

void Shard::set_view(MeshViewPtr published) {
  IM_ASSERT(published != nullptr);
  view = std::move(published);
  admission.adopt(*view);
  std::erase_if(retry_budgets_, [&](const auto& entry) {
    return std::none_of(view->pools.begin(), view->pools.end(),
                        [&](const Pool& pool) { return pool.spec.name == entry.first; });
  });
  session_body_keys.clear();
  const auto add_key = [this](const RoutingPolicyObject& policy) {
    const std::string& key = policy.session_body_key;
    const auto& keys = session_body_keys;
    if (!key.empty() && std::find(keys.begin(), keys.end(), key) == keys.end())
      session_body_keys.push_back(key);
  };
  for (const Pool& pool : view->pools) add_key(pool.policy);
  for (const Model& model : view->models) {
    if (model.policy) add_key(*model.policy);
  }
}

health::RetryBudget& Shard::retry_budget(const Pool& pool) {
  const double share = pool.spec.retry_budget;
  const NamedBudget fresh{share, health::RetryBudget(share)};
  NamedBudget& named = retry_budgets_.try_emplace(pool.spec.name, fresh).first->second;
  if (named.share != share) named = fresh;
  return named.budget;
}

// Successes tell the health machines nothing new, and are not worth a hop, while neither the
// endpoint nor another of the same model has failed lately: a bad endpoint is known by its peers.
void Shard::report_outcome(const Outcome& outcome) {
  const Instant now = loop.now();
  if (is_failure(outcome.kind)) {
    endpoint_trouble_.note(outcome.endpoint, now);
    model_trouble_.note(outcome.model_key, now);
  } else {
    const bool wanted = endpoint_trouble_.lately(outcome.endpoint, now) ||
                        model_trouble_.lately(outcome.model_key, now);
    if (!wanted && !outcome.trial) return;
  }
  if (report_) report_(outcome);
}

}  // namespace infermesh::data
