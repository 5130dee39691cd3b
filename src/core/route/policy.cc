#include "core/route/policy.h"

#include "base/assert.h"

namespace infermesh::route {

const Policy& policy_of(PolicyKind kind) {
  switch (kind) {
    case PolicyKind::kExpectedLatency:
      return kExpectedLatency;
    case PolicyKind::kRoundRobin:
      return kRoundRobin;
    case PolicyKind::kRandom:
      return kRandom;
    case PolicyKind::kLeastRequest:
      return kLeastRequest;
    case PolicyKind::kPowerOfTwo:
      return kPowerOfTwo;
    case PolicyKind::kSession:
      return kSession;
    case PolicyKind::kPrefixAffinity:
      return kPrefixAffinity;
  }
  IM_ASSERT(false);
}

}  // namespace infermesh::route
