// Problems: what an operator should look at, found in one moment of the mesh, each with the command
// that explains it. Errors come first, then warnings; within those engines before models, in the
// view's order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace infermesh::control {

struct MeshMoment;

enum class Severity : std::uint8_t { kError, kWarning };
std::string_view to_string(Severity severity);

struct Problem {
  Severity severity = Severity::kError;
  std::string kind;               // "engine", "model", "objects", "tls", "mesh"
  std::string name;               // of the engine or model, or the folder; may be empty
  std::string what;               // one clause: "down for 12 s: connection refused"
  std::string next;               // a command line
  std::optional<Duration> since;  // how long it has been so
};

// A refused set of objects, as object_folder keeps it.
struct ObjectRefusal {
  std::string path;                   // the folder
  std::vector<std::string> problems;  // "pools.yaml:12:5: ..."; never empty; bounded by the parser
  Instant at{};
};

// Load figures older than this are called stale; engines are polled every 100 ms to 2 s.
constexpr Duration kStaleAfter = 10s;
constexpr std::size_t kProblemsMax = 256;  // the rest is counted in a last entry

std::vector<Problem> find_problems(const MeshMoment& moment, const ObjectRefusal* refusal);

}  // namespace infermesh::control
