// The admin API's bodies: pure functions from values of core/model to JSON text. Keys are stable:
// api/openapi/admin.yaml is the contract and the command line reads them. Times are RFC 3339,
// durations are milliseconds in keys that end in _ms, unknown is null and never zero. Nothing here
// reads a clock or keeps anything.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "control/certificates.h"
#include "control/problems.h"
#include "core/model/decision.h"
#include "core/model/load_table.h"
#include "core/model/mesh_view.h"

namespace infermesh::control {

// Figures of one model that are measured elsewhere (obs) and handed over by app; absent is unknown.
struct ModelFigures {
  std::optional<double>
      prefix_hit_ratio;  // cached over prompt tokens as the engines' usage said, 0..1
  std::optional<double> ttft_p50_seconds;
  std::optional<double> ttft_p99_seconds;
  std::optional<double> output_tokens_per_second;  // over the last minute or so
};

// One moment of the mesh. Borrows everything.
struct MeshMoment {
  const MeshView& view;
  const LoadTable& load;
  Instant now;
  std::span<const ModelFigures> figures = {};  // index = ModelId; may be shorter than view.models
  std::span<const std::uint32_t> queued = {};  // requests waiting; index = PoolId; may be shorter
};

struct ProcessFacts {
  std::string version;
  std::string commit;                            // of the build, empty when unknown
  std::vector<std::string> inference_listeners;  // "127.0.0.1:6400", as bound
  std::vector<std::string> admin_listeners;
  std::vector<CertificateInfo> certificates;  // of the inference listener; empty: it speaks no TLS
  std::string objects_path;                   // watched folder, empty when there is none
  std::uint32_t shards = 1;
  Instant started{};
  Instant view_since{};  // when the present generation was published
  WallTime wall_now{};
};

std::string status_json(const MeshMoment& moment, const ProcessFacts& process,
                        std::span<const Problem> problems);
std::string engines_json(const MeshMoment& moment);
std::optional<std::string> engine_json(const MeshMoment& moment, std::string_view name);
std::string models_json(const MeshMoment& moment);
std::string pools_json(const MeshMoment& moment);
std::string problems_json(std::span<const Problem> problems);
std::string version_json(const ProcessFacts& process);

struct ReadinessCheck {
  std::string name;  // "listeners", "view", "engines"
  bool ok = false;
  std::string detail;  // one sentence
};
// Ready when every check is; the caller answers 200 or 503 by all_ok().
bool all_ok(std::span<const ReadinessCheck> checks);
std::string readiness_json(std::span<const ReadinessCheck> checks);

// Full record for /debug/decisions/{id}; one line each, newest first, for /debug/decisions.
std::string decision_json(const DecisionRecord& record);
std::string decisions_json(std::span<const DecisionRecord> newest_first);

// POST /api/route: what a request would get, without sending it.
struct RouteTest {
  std::string model;
  std::string prompt;
  Api api = Api::kChat;
  std::string session;  // session key as a client would send it, empty when none
};
Result<RouteTest> parse_route_test(std::string_view body);
std::string route_json(const RequestFacts& facts, std::string_view pool, const Decision& decision,
                       const MeshView& view);

// POST /api/engines/{name}/drain and /undrain.
enum class DrainChange : std::uint8_t { kDrained, kUndrained, kAlready };
std::string drain_json(const MeshMoment& moment, const Endpoint& endpoint, DrainChange change);

// RFC 9457 problem details: type, title (what), status, detail (why), plus code and next.
// `next` is what to do about it, where more is known than the table of errors says.
std::string problem_details_json(const Error& error, std::string_view next = {});

}  // namespace infermesh::control
