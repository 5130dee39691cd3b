#include "data/shard/shard.h"

#include "base/assert.h"

namespace infermesh::data {
namespace {

constexpr std::size_t kScratchBytes = 64 << 10;
constexpr Duration kTroubleMemory =
    60s;  // how long an endpoint's successes are reported after a failure

}  // namespace

Shard::Shard(Borrowed borrowed)
    : loop(borrowed.loop),
      settings(borrowed.settings),
      loads(borrowed.loads),
      prefixes(borrowed.prefixes),
      log(borrowed.log),
      meter(borrowed.metrics, borrowed.access_log),
      view(std::make_shared<const MeshView>()),
      rng(borrowed.loop.entropy()),
      upstream(borrowed.loop,
               {borrowed.settings.upstream_idle_max, borrowed.settings.upstream_idle_timeout}),
      admission(borrowed.loop),
      decisions(borrowed.settings.decisions_kept),
      scratch(kScratchBytes),
      report_(std::move(borrowed.report)) {}

void Shard::set_view(MeshViewPtr published) {
  IM_ASSERT(published != nullptr);
  view = std::move(published);
  admission.retry_all();
}

health::RetryBudget& Shard::retry_budget(const Pool& pool) {
  return retry_budgets_.try_emplace(pool.id, pool.spec.retry_budget).first->second;
}

// Successes of endpoints without recent trouble tell the health machines nothing new and are not
// worth a hop.
void Shard::report_outcome(const Outcome& outcome) {
  const Instant now = loop.now();
  const auto trouble = troubled_.find(outcome.endpoint);
  if (is_failure(outcome.kind)) {
    troubled_.insert_or_assign(outcome.endpoint, now + kTroubleMemory);
  } else if (trouble == troubled_.end() && !outcome.trial) {
    return;
  } else if (trouble != troubled_.end() && trouble->second < now) {
    troubled_.erase(trouble);
  }
  if (report_) report_(outcome);
}

}  // namespace infermesh::data
