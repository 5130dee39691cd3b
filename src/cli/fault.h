// Exit codes, and what a verb says when it fails: what happened, why, and the next step, one line
// each.
#pragma once

#include <expected>
#include <string>

#include "base/result.h"

namespace infermesh::cli {

enum class Exit : int {
  kOk = 0,
  kUnhealthy = 1,
  kUsage = 2,
  kNotFound = 3,
  kPermission = 4,
  kConflict = 5,
  kUnavailable = 6,
  kPartial = 7,
  kInterrupted = 130,
};

struct Fault {
  Exit exit = Exit::kUsage;
  std::string what;
  std::string why;   // may be empty
  std::string next;  // may be empty
};

template <typename T>
using Outcome = std::expected<T, Fault>;

inline std::unexpected<Fault> fault(Exit exit, std::string what, std::string why = {},
                                    std::string next = {}) {
  return std::unexpected(Fault{exit, std::move(what), std::move(why), std::move(next)});
}

Exit exit_for_status(int http_status);

}  // namespace infermesh::cli
