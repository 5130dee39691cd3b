// FloodGuard: how much work a peer may cause that leads to nothing. Two token buckets: streams that
// are reset soon after they were opened (CVE-2023-44487, and its twin by which the peer makes us
// reset them), and frames that carry nothing (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA).
// Of one session; time is an argument.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace infermesh::http2 {

class TokenBucket {
 public:
  TokenBucket(double burst, double per_second) : burst_(burst), rate_(per_second), left_(burst) {}
  // False when there is none left.
  bool spend(Instant now) {
    if (seen_ != kNever) left_ = std::min(burst_, left_ + to_seconds(now - seen_) * rate_);
    seen_ = now;
    left_ -= 1;
    return left_ >= 0;
  }
  void give_back(double tokens) { left_ = std::min(burst_, left_ + tokens); }

 private:
  double burst_, rate_, left_;
  Instant seen_ = kNever;
};

struct FloodLimits {
  double resets_burst = 1000, resets_per_second = 100;
  double idle_frames_burst = 2000, idle_frames_per_second = 1000;
};

class FloodGuard {
 public:
  explicit FloodGuard(const FloodLimits& limits)
      : resets_(limits.resets_burst, limits.resets_per_second),
        frames_(limits.idle_frames_burst, limits.idle_frames_per_second) {}
  bool reset(Instant now) { return resets_.spend(now); }
  bool idle_frame(Instant now) { return frames_.spend(now); }
  // Whoever is sent data answers it with window updates, and often with a PING.
  void data_sent() { frames_.give_back(4); }

 private:
  TokenBucket resets_, frames_;
};

}  // namespace infermesh::http2
