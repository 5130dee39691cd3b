#include "data/shard.h"

#include <fmt/format.h>

#include "base/assert.h"
#include "data/connection.h"

namespace infermesh::data {
namespace {

constexpr std::size_t kScratchBytes = 64 << 10;
constexpr Duration kTroubleMemory =
    60s;  // how long an endpoint's successes are reported after a failure

}  // namespace

LiveConnection::LiveConnection(std::vector<LiveConnection*>& all, Waiter& waiter)
    : all_(all), index_(all.size()), waiter_(waiter) {
  all_.push_back(this);
}

LiveConnection::~LiveConnection() {
  all_[index_] = all_.back();
  all_[index_]->index_ = index_;
  all_.pop_back();
}

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
      report_(std::move(borrowed.report)),
      open_(borrowed.connections_open != nullptr ? *borrowed.connections_open : own_open_),
      drain_end_([this] {
        const auto all = connections;
        for (LiveConnection* connection : all) connection->stop();
      }) {}

void Shard::set_view(MeshViewPtr published) {
  IM_ASSERT(published != nullptr);
  view = std::move(published);
  admission.retry_all();
}

port::Task<void> Shard::serve(std::unique_ptr<port::Listener> listener) {
  listener_ = std::move(listener);
  while (!draining) {
    auto stream = co_await listener_->accept();
    if (stream) {
      if (open_.load(std::memory_order_relaxed) >= settings.connections_max) {
        (*stream)->close(port::CloseMode::kGraceful);
        meter.connection_refused();
        continue;
      }
      loop.spawn(serve_one(std::move(*stream)));
      continue;
    }
    if (stream.error().code == ErrorCode::kUnavailable) break;
    log.warn(loop.wall_now(), stream.error().detail);
    co_await loop.sleep_until(loop.now() +
                              100ms);  // out of file descriptors, most likely: some will be closed
  }
}

port::Task<void> Shard::serve_one(port::StreamPtr stream) {
  open_.fetch_add(1, std::memory_order_relaxed);
  meter.connection_accepted(connections.size() + 1);
  co_await serve_connection(*this, std::move(stream));
  open_.fetch_sub(1, std::memory_order_relaxed);
  meter.connection_closed(connections.size());
  check_drained();
}

void Shard::drain(Instant deadline, std::function<void()> done) {
  draining = true;
  drained_ = std::move(done);
  if (listener_) listener_->close();
  const auto all = connections;
  for (LiveConnection* connection : all) {
    if (connection->idle) connection->look_up();
  }
  loop.arm(drain_end_, deadline);
  check_drained();
}

void Shard::check_drained() {
  if (!draining || !connections.empty() || !drained_) return;
  loop.arm(drain_end_, kNever);
  std::exchange(drained_, nullptr)();
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
