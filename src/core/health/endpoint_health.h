// EndpointHealth: whether one endpoint can take requests, from probes and from what requests met. A
// machine without a clock of its own; owned by the signal loop, one an endpoint, fed with the
// outcomes of all shards.
//
//   joining --probe ok--> ready --failure--> suspect --more failures--> down --probes ok--> ready
//
// Suspect endpoints take requests only when no ready one can. Draining lies over ready and suspect.
// A change from down to ready means that the engine may have restarted with an empty cache
// (prefix::PrefixIndex::forget).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"
#include "core/model/decision.h"
#include "core/model/mesh_view.h"

namespace infermesh::health {

struct HealthSettings {
  std::uint32_t failures_to_down = 3;   // probes or connects in a row
  std::uint32_t resets_to_suspect = 3;  // requests in a row that got no answer
  std::uint32_t probes_to_recover = 2;  // good ones in a row, from down
};

enum class ProbeVerdict : std::uint8_t {
  kHealthy,
  kLoading,  // answers, but says that it is not ready (a model is loading)
  kFailed,
};

class EndpointHealth {
 public:
  explicit EndpointHealth(Instant now, HealthSettings settings = {});

  // `detail`: why it failed or what it is loading, for people: "connection refused".
  void on_probe(Instant now, ProbeVerdict verdict, std::string_view detail = {});
  void on_outcome(Instant now, const Outcome& outcome);
  void drain(Instant now);
  void undrain(Instant now);

  EndpointState state() const;
  const std::string& reason() const { return reason_; }  // one sentence; empty when ready
  Instant since() const { return since_; }

 private:
  void move(Instant now, EndpointState next, std::string reason);
  void on_failure(Instant now, std::string_view what);

  HealthSettings settings_;
  EndpointState state_ = EndpointState::kJoining;  // without the overlay
  bool draining_ = false;
  Instant since_;
  std::string reason_ = "not probed yet";
  std::uint32_t failures_ = 0;     // probes and connects, in a row
  std::uint32_t resets_ = 0;       // in a row
  std::uint32_t good_probes_ = 0;  // in a row
};

}  // namespace infermesh::health
