// How the steps of an exchange end early.
#pragma once

#include <expected>
#include <string>

#include "base/rare.h"
#include "base/result.h"
#include "wire/openai/error_body.h"

namespace infermesh::data {

// Why an exchange cannot go on. Small, for every step of every exchange has room for one.
struct Stop {
  enum class Kind : std::uint8_t { kError, kClientGone, kStopped };
  Kind kind = Kind::kError;
  Rare<Error> error = {};                 // none when the client is gone
  Rare<openai::UpstreamError> said = {};  // the engine's own, when it sent one in its stream

  ErrorCode code() const { return error ? error->code : ErrorCode::kClientClosed; }
};
template <typename T = void>
using Step = std::expected<T, Stop>;

inline std::unexpected<Stop> stop(Error error) {
  return std::unexpected(Stop{Stop::Kind::kError, std::move(error), {}});
}

inline std::unexpected<Stop> client_left() {
  return std::unexpected(Stop{Stop::Kind::kClientGone, {}, {}});
}

// What an engine said instead of an answer, in a form that the client understands.
struct UpstreamRefusal {
  openai::UpstreamError error;
  std::string retry_after, retry_after_ms, should_retry;  // the engine's own advice, passed on
};

// How an attempt ended that has sent nothing to the client.
struct AttemptFailure {
  Error error;
  Rare<UpstreamRefusal> refusal;  // when the engine answered with an error status
};

}  // namespace infermesh::data
