// What a mesh keeper is made with, and the words of its calls.
#pragma once

#include <cstdint>

#include "core/health/ejector.h"
#include "core/health/endpoint_health.h"
#include "core/model/objects.h"
#include "signal/engine/poller.h"

namespace infermesh::signal {

struct KeeperSettings {
  PollSettings poll;
  PoolObject pool_default;             // of implicit pools
  RoutingPolicyObject policy_default;  // of pools that name none
  health::HealthSettings health;
  health::EjectorSettings ejector;
  Duration forget_after = 5min;  // a discovered engine that is down this long
};

// Where an engine without an object comes from.
enum class Origin : std::uint8_t { kNamed, kDiscovered };

enum class DrainResult : std::uint8_t { kChanged, kAlready };

}  // namespace infermesh::signal
