// Mesh objects: what an operator writes (kind, name, spec). Read from YAML by config/objects;
// schema in api/schema/objects. Plain values, validated when read; the same whether they come from
// a folder or a store.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "core/model/api.h"
#include "core/model/runtime_object.h"
#include "core/model/tls_options.h"

namespace infermesh {

enum class PolicyKind : std::uint8_t {
  kExpectedLatency,
  kRoundRobin,
  kRandom,
  kLeastRequest,
  kPowerOfTwo,
  kSession,
  kPrefixAffinity,
};
constexpr std::size_t kPolicyKinds = 7;
std::string_view to_string(PolicyKind kind);  // "expected_latency", "round_robin", ...
std::optional<PolicyKind> parse_policy_kind(std::string_view name);

// A running model server process.
struct EngineObject {
  std::string name;
  std::string url;       // http://HOST:PORT or https://HOST:PORT, without a path
  std::string grpc_url;  // where it speaks gRPC; empty: it is not asked so
  std::string runtime;   // a built-in one or a Runtime object's name; empty: found by probing
  std::vector<std::string> models;  // served names; found by polling when empty
  std::vector<std::string> apis;    // route families that it serves; empty: those of its runtime
  std::string metrics_url;          // where its metrics are, if not where its runtime has them
  std::string management_url;       // the same for its management pages
  std::string pool;         // empty: the pools that select it, else an implicit pool per model
  std::string api_key_env;  // name of the environment variable that holds the engine's own key
  std::optional<std::uint32_t> in_flight_max;  // requests sent to it at once
  std::uint32_t weight = 100;  // relative speed, percent; used until rates are measured
  bool drain = false;          // takes no new requests
  std::string tls_ca_file;     // these with an https url only; see TlsOptions
  std::string tls_client_cert;
  std::string tls_client_key;
  std::string tls_server_name;
  std::optional<TlsVersion> tls_min_version;  // 1.3 when absent
  std::optional<bool> tls_insecure_skip_verify;

  TlsOptions tls_options() const {
    return {tls_ca_file,
            tls_client_cert,
            tls_client_key,
            tls_server_name,
            tls_min_version.value_or(TlsVersion::k13),
            tls_insecure_skip_verify.value_or(false) ? TlsTrust::kAnyone : TlsTrust::kVerified};
  }
};

// How a pool is routed.
struct RoutingPolicyObject {
  std::string name;
  PolicyKind policy = PolicyKind::kExpectedLatency;
  std::string session_header = "x-session-id";  // policy session: where the key is read ...
  std::string session_body_key;                 // ... or this top-level string of the body
  double load_bound = 1.25;    // policy session: load over the mean that moves a key on (>= 1)
  double prefix_weight = 1.0;  // policy prefix_affinity: cached share against load, 0..10
};

// Engines that serve the same model interchangeably.
struct PoolObject {
  std::string name;
  std::vector<std::string> engines;  // engine names; empty: those whose spec.pool names this pool
  std::string policy;                // RoutingPolicy name; empty: the built-in default
  std::uint32_t queue_max = 1024;    // requests waiting for a free engine
  Duration queue_timeout = 30s;
  std::uint32_t in_flight_per_engine_max = 256;
  double ejected_share_max = 0.5;  // of the pool's engines that outlier ejection may take out
  double retry_budget = 0.2;       // retries per request, long-run share
  std::uint32_t attempts_max = 3;
  Duration connect_timeout = 1s;
  Duration first_byte_timeout = 120s;
  Duration between_bytes_timeout = 60s;
  Duration total_timeout = 600s;
  // The same two of audio, images and live sessions (whose total only their beginning is held to).
  Duration media_first_byte_timeout = 600s;
  Duration media_total_timeout = 1800s;
};

// A name that clients ask for.
struct ModelObject {
  std::string name;
  std::string pool;  // the pool that serves it
  std::string
      served_name;  // what the engines call it; empty: the same. Differs: the body is spliced
  std::vector<std::string> aliases;
  std::string policy;                          // overrides the pool's
  std::uint32_t expected_output_tokens = 256;  // until measured
};

struct ObjectSet {
  std::vector<EngineObject> engines;
  std::vector<PoolObject> pools;
  std::vector<ModelObject> models;
  std::vector<RoutingPolicyObject> policies;
  std::vector<RuntimeObject> runtimes;
};

}  // namespace infermesh
