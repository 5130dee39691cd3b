#include "core/health/ejector.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/text.h"

namespace infermesh::health {
namespace {

// The reason is left out: its counts slide with time, and that alone is no news.
bool same(const Ejection& a, const Ejection& b) {
  return a.endpoint == b.endpoint && a.model == b.model && a.until == b.until &&
         a.half_open == b.half_open;
}

std::string breaker_reason(const Breaker& breaker, Instant now) {
  if (breaker.state() == Breaker::State::kHalfOpen) return "waits for one trial request to succeed";
  const SlidingCounts& counts = breaker.counts();
  if (breaker.failures_in_a_row() > 1) {
    return fmt::format("{} failures in a row", breaker.failures_in_a_row());
  }
  return fmt::format("{} of {} requests failed", counts.failures(now), counts.requests(now));
}

std::size_t ready_endpoints(const MeshView& view, const Model& model) {
  return static_cast<std::size_t>(
      std::count_if(model.endpoints.begin(), model.endpoints.end(), [&](EndpointId id) {
        const Endpoint* endpoint = view.endpoint(id);
        return endpoint != nullptr && endpoint->state == EndpointState::kReady;
      }));
}

}  // namespace

Ejector::Ejector(EjectorSettings settings) : settings_(settings) {}

void Ejector::on_outcome(Instant now, const Outcome& outcome, Rng& rng) {
  const Key key{outcome.endpoint, outcome.model_key};
  auto found = entries_.find(key);
  if (found == entries_.end()) {
    if (entries_.size() >= settings_.entries_max) {
      ++unwatched_;
      return;
    }
    found = entries_.try_emplace(key).first;
  }
  found->second.last_outcome = now;
  found->second.breaker.on_outcome(now, outcome, settings_.breaker, rng);
}

void Ejector::find_outliers(Instant now, const Model& model, std::uint64_t key) {
  std::vector<SuccessCount> counts;
  std::vector<Entry*> entries;
  for (const EndpointId id : model.endpoints) {
    const auto found = entries_.find({id, key});
    if (found == entries_.end() || found->second.outlier_until > now) continue;
    const SlidingCounts& window = found->second.breaker.counts();
    counts.push_back({window.requests(now), window.failures(now)});
    entries.push_back(&found->second);
  }
  for (const std::size_t i : outliers(counts, settings_.outlier)) {
    Entry& entry = *entries[i];
    ++entry.times_outlier;
    const Duration out = settings_.outlier_out_first * entry.times_outlier;
    entry.outlier_until = now + std::min(out, settings_.outlier_out_max);
  }
}

void Ejector::add_ejections(Instant now, const MeshView& view, const Model& model,
                            std::uint64_t key, std::vector<Ejection>& out) {
  std::vector<Wish> wishes, odd;
  for (const EndpointId id : model.endpoints) {
    const auto found = entries_.find({id, key});
    if (found == entries_.end()) continue;
    Entry& entry = found->second;
    const Breaker& breaker = entry.breaker;
    if (breaker.state() != Breaker::State::kClosed) {
      const bool half_open = breaker.state() == Breaker::State::kHalfOpen;
      wishes.push_back({id, &entry, half_open ? kNever : breaker.open_until(), half_open,
                        breaker_reason(breaker, now)});
    } else if (entry.outlier_until > now) {
      odd.push_back({id, &entry, entry.outlier_until, false,
                     "fails far more often than the pool's other engines"});
    } else {
      entry.out_since.reset();
    }
  }
  if (wishes.empty() && odd.empty()) return;
  std::move(odd.begin(), odd.end(), std::back_inserter(wishes));
  const std::size_t ready = ready_endpoints(view, model);
  const double share = model.pool.value < view.pools.size()
                           ? view.pools[model.pool.value].spec.ejected_share_max
                           : 0.5;
  std::size_t room =
      std::min(static_cast<std::size_t>(share * static_cast<double>(model.endpoints.size())),
               ready > 0 ? ready - 1 : 0);
  for (Wish& wish : wishes) {
    if (room == 0) {
      wish.entry->out_since.reset();
      continue;
    }
    --room;
    if (!wish.entry->out_since) wish.entry->out_since = now;
    out.push_back({wish.endpoint, model.id, wish.until, wish.half_open, std::move(wish.reason),
                   *wish.entry->out_since});
  }
}

void Ejector::drop_idle(Instant now) {
  std::erase_if(entries_, [&](const auto& item) {
    const Entry& entry = item.second;
    return now - entry.last_outcome > settings_.idle && entry.outlier_until <= now &&
           entry.breaker.state() == Breaker::State::kClosed;
  });
}

void Ejector::plan_deadline(Instant now) {
  deadline_ = entries_.empty() ? kNever : outlier_at_;
  for (const auto& [key, entry] : entries_) {
    if (entry.breaker.state() == Breaker::State::kOpen) {
      deadline_ = std::min(deadline_, entry.breaker.open_until());
    }
    if (entry.outlier_until > now) deadline_ = std::min(deadline_, entry.outlier_until);
  }
}

bool Ejector::step(Instant now, const MeshView& view) {
  for (auto& [key, entry] : entries_) entry.breaker.on_deadline(now);
  const bool outliers_due = now >= outlier_at_;
  std::vector<Ejection> list;
  for (const Model& model : view.models) {
    const std::uint64_t key = name_hash(model.name);
    if (outliers_due) find_outliers(now, model, key);
    add_ejections(now, view, model, key, list);
  }
  if (outliers_due) {
    drop_idle(now);
    outlier_at_ = now + settings_.outlier_every;
  }
  plan_deadline(now);
  std::sort(list.begin(), list.end(), [](const Ejection& a, const Ejection& b) {
    return std::pair(a.endpoint, a.model) < std::pair(b.endpoint, b.model);
  });
  if (std::equal(list.begin(), list.end(), ejections_.begin(), ejections_.end(), same))
    return false;
  ejections_ = std::move(list);
  ++generation_;
  return true;
}

void Ejector::forget(EndpointId endpoint) {
  std::erase_if(entries_, [&](const auto& item) { return item.first.first == endpoint; });
}

}  // namespace infermesh::health
