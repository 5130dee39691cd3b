// How the steps of an exchange end early.
#pragma once

#include <expected>
#include <optional>
#include <string>

#include "base/result.h"
#include "wire/openai/error_body.h"

namespace infermesh::data {

// Why an exchange cannot go on.
struct Stop {
  enum class Kind : std::uint8_t { kError, kClientGone, kStopped };
  Kind kind = Kind::kError;
  Error error = {};
  std::optional<openai::UpstreamError> said =
      std::nullopt;  // the engine's own error, when it sent one in its stream
};
template <typename T = void>
using Step = std::expected<T, Stop>;

inline std::unexpected<Stop> stop(Error error) {
  return std::unexpected(Stop{Stop::Kind::kError, std::move(error), std::nullopt});
}

// What an engine said instead of an answer, in a form that the client understands.
struct UpstreamRefusal {
  openai::UpstreamError error;
  std::string retry_after, retry_after_ms, should_retry;  // the engine's own advice, passed on
};

// How an attempt ended that has sent nothing to the client.
struct AttemptFailure {
  Error error;
  std::optional<UpstreamRefusal> refusal;  // when the engine answered with an error status
};

}  // namespace infermesh::data
