#include "core/health/endpoint_health.h"

#include <fmt/format.h>

#include <utility>

namespace infermesh::health {
namespace {

std::string in_a_row(std::string_view what, std::uint32_t times) {
  if (times == 1) return std::string(what);
  return fmt::format("{}, {} times in a row", what, times);
}

}  // namespace

EndpointHealth::EndpointHealth(Instant now, HealthSettings settings)
    : settings_(settings), since_(now) {}

EndpointState EndpointHealth::state() const {
  const bool serving = state_ == EndpointState::kReady || state_ == EndpointState::kSuspect;
  return draining_ && serving ? EndpointState::kDraining : state_;
}

void EndpointHealth::move(Instant now, EndpointState next, std::string reason) {
  reason_ = std::move(reason);
  if (state_ == next) return;
  state_ = next;
  since_ = now;
}

void EndpointHealth::on_failure(Instant now, std::string_view what) {
  ++failures_;
  good_probes_ = 0;
  if (failures_ >= settings_.failures_to_down || state_ == EndpointState::kDown) {
    move(now, EndpointState::kDown, in_a_row(what, failures_));
  } else if (state_ == EndpointState::kJoining) {
    reason_ = in_a_row(what, failures_);
  } else {
    move(now, EndpointState::kSuspect, in_a_row(what, failures_));
  }
}

void EndpointHealth::on_probe(Instant now, ProbeVerdict verdict, std::string_view detail) {
  switch (verdict) {
    case ProbeVerdict::kFailed:
      on_failure(now, detail.empty() ? "the probe failed" : detail);
      return;
    case ProbeVerdict::kLoading:
      failures_ = good_probes_ = 0;
      move(now, EndpointState::kJoining, detail.empty() ? "not ready yet" : std::string(detail));
      return;
    case ProbeVerdict::kHealthy:
      break;
  }
  failures_ = 0;
  ++good_probes_;
  if (state_ == EndpointState::kReady) return;
  if (state_ == EndpointState::kDown && good_probes_ < settings_.probes_to_recover) {
    reason_ = fmt::format("answers again, {} of {} good probes", good_probes_,
                          settings_.probes_to_recover);
    return;
  }
  // Requests that got no answer are not outdone by one probe that did.
  if (state_ == EndpointState::kSuspect && resets_ >= settings_.resets_to_suspect &&
      good_probes_ < settings_.probes_to_recover) {
    return;
  }
  resets_ = 0;
  move(now, EndpointState::kReady, draining_ ? "draining" : "");
}

void EndpointHealth::on_outcome(Instant now, const Outcome& outcome) {
  switch (outcome.kind) {
    case OutcomeKind::kConnectFailed:
      if (state_ == EndpointState::kReady || state_ == EndpointState::kSuspect) {
        on_failure(now, "connections fail");
      }
      return;
    case OutcomeKind::kReset:
    case OutcomeKind::kTimeout:
      good_probes_ = 0;
      if (++resets_ >= settings_.resets_to_suspect && state_ == EndpointState::kReady) {
        move(now, EndpointState::kSuspect, in_a_row("requests get no answer", resets_));
      }
      return;
    case OutcomeKind::kCancelled:
      return;
    default:
      break;
  }
  // Any answer shows that it is there. An answer to a request sent before it went down proves
  // nothing.
  if (outcome.sent_at < since_ && state_ != EndpointState::kReady) return;
  resets_ = 0;
  if (state_ != EndpointState::kReady && state_ != EndpointState::kSuspect) return;
  failures_ = 0;
  move(now, EndpointState::kReady, draining_ ? "draining" : "");
}

void EndpointHealth::drain(Instant now) {
  if (std::exchange(draining_, true)) return;
  since_ = now;
  if (state_ == EndpointState::kReady) reason_ = "draining";
}

void EndpointHealth::undrain(Instant now) {
  if (!std::exchange(draining_, false)) return;
  since_ = now;
  if (state_ == EndpointState::kReady) reason_.clear();
}

}  // namespace infermesh::health
