// Ejector: which (endpoint, model) pairs are out, from all outcomes of all shards: a breaker each,
// and outlier detection among the endpoints of a model. Owned by the signal loop. `step` after each
// batch of outcomes and at next_deadline(); when it says that the list changed, the list goes into
// the next MeshView.
//
// Limits: at most `entries_max` pairs are watched, further ones are never ejected (`unwatched`
// counts their outcomes). Of a model's endpoints at most the pool's ejected_share_max are out, and
// never the last ready one: breakers first, then outliers, by id. A pair without outcomes for
// `idle` is dropped.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/health/breaker.h"
#include "core/health/outlier.h"
#include "core/model/mesh_view.h"

namespace infermesh::health {

struct EjectorSettings {
  BreakerSettings breaker;
  OutlierSettings outlier;
  Duration outlier_every = 5s;
  Duration outlier_out_first = 30s;  // times the number of times it was an outlier
  Duration outlier_out_max = 300s;
  Duration idle = 10min;
  std::size_t entries_max = 16384;
};

class Ejector {
 public:
  explicit Ejector(EjectorSettings settings = {});

  void on_outcome(Instant now, const Outcome& outcome, Rng& rng);
  // True when ejections() is another list than before.
  bool step(Instant now, const MeshView& view);
  Instant next_deadline() const { return deadline_; }

  const std::vector<Ejection>& ejections() const {
    return ejections_;
  }  // sorted by (endpoint, model)
  std::uint64_t generation() const { return generation_; }  // counts changes of the list
  std::uint64_t unwatched() const { return unwatched_; }

  // Another engine has this id now, or the operator wants it back.
  void forget(EndpointId endpoint);

 private:
  struct Entry {
    Breaker breaker;
    std::uint32_t times_outlier = 0;
    Instant outlier_until{};
    std::optional<Instant> out_since;  // while it is on the list
    Instant last_outcome{};
  };
  using Key = std::pair<EndpointId, std::uint64_t>;  // endpoint, model_key

  struct Wish {  // an ejection before the cap
    EndpointId endpoint;
    Entry* entry;
    Instant until;
    bool half_open;
    std::string reason;
  };

  void find_outliers(Instant now, const Model& model, std::uint64_t key);
  void add_ejections(Instant now, const MeshView& view, const Model& model, std::uint64_t key,
                     std::vector<Ejection>& out);
  void drop_idle(Instant now);
  void plan_deadline(Instant now);

  EjectorSettings settings_;
  std::map<Key, Entry> entries_;
  std::vector<Ejection> ejections_;
  std::uint64_t generation_ = 0;
  std::uint64_t unwatched_ = 0;
  Instant outlier_at_{};
  Instant deadline_ = kNever;
};

}  // namespace infermesh::health
