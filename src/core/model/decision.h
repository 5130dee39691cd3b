// Decision: which endpoint, and everything needed to explain it. What became of it is an Outcome.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error_code.gen.h"
#include "base/ids.h"
#include "base/time.h"
#include "core/model/mesh_view.h"
#include "core/model/objects.h"
#include "core/model/outcome.h"
#include "core/model/request_facts.h"

namespace infermesh {

enum class Rejection : std::uint8_t {
  kNone,
  kNotReady,  // joining or down
  kDraining,
  kEjected,  // breaker open or outlier, for this model
  kTried,    // this request already failed there
  kFull,     // in flight at its limit
  kTooLong,  // the prompt does not fit its context
  kApi,      // it does not serve what is asked
};
std::string_view to_string(Rejection rejection);

// Why the winner won, as one word: header x-infermesh-reason and metric label.
enum class Reason : std::uint8_t {
  kNone,
  kOnlyOne,       // one candidate
  kPolicy,        // the policy's own order (round_robin, random)
  kLeastLoaded,   // fewest in flight or least work ahead
  kPrefixCached,  // holds the longest part of the prompt, and that decided
  kFastest,       // least predicted total by measured rates
  kSession,       // consistent hash of the session key
  kFallback,      // all ejected or every signal stale: least in flight
  kTrial,         // a half-open breaker's trial request
};
std::string_view to_string(Reason reason);

// One endpoint as the decision saw it.
struct CandidateNote {
  EndpointId endpoint;
  Rejection rejection = Rejection::kNone;
  EndpointState state = EndpointState::kReady;
  std::string out_reason;  // why it is not ready or ejected, one sentence; empty when it is neither
  Duration out_for{-1};    // since when; negative: it is neither
  double score = 0;        // lower is better; seconds for expected_latency
  // Facts used. Ages are at decision time; a negative age means unknown.
  std::int32_t in_flight = 0;
  std::int32_t reported_waiting = -1;
  Tokens tokens_ahead{0};    // uncached prompt tokens before this one
  Tokens cached_tokens{0};   // of this prompt, believed to be in its cache
  double queue_seconds = 0;  // predicted parts, where the policy predicts
  double slot_seconds = 0;   // of the queue: the wait for one of the engine's own slots
  double prefill_seconds = 0;
  double decode_seconds = 0;
  Duration load_age{-1};
  Duration rates_age{-1};
};

constexpr std::size_t kCandidatesNotedMax = 16;  // the best ones and the rejected ones that fit

struct Decision {
  std::optional<EndpointId> endpoint;  // none: nothing can take it; see `refusal`
  ErrorCode refusal = ErrorCode::kNoHealthyBackend;
  bool wait = false;  // all are full: queue it
  PolicyKind policy = PolicyKind::kExpectedLatency;
  Reason reason = Reason::kNone;
  bool trial = false;       // a half-open breaker's trial request
  Tokens cached_tokens{0};  // of the chosen one
  Tokens uncached_tokens{0};
  double predicted_ttft_seconds = 0;  // 0 = not predicted
  double expected_output_tokens = 0;
  std::uint64_t model_key = 0;  // hash of the model's name, the same in every view
  std::uint16_t candidates_total = 0;
  std::vector<CandidateNote> notes;  // best first, then rejected; at most kCandidatesNotedMax
};

// One attempt, for explain.
struct AttemptRecord {
  EndpointId endpoint;
  std::string engine;
  Decision decision;
  Outcome outcome;
  std::string error;  // one sentence when it failed
  std::string retry;  // after a failure: "retry", or why there was none
};

// Everything about one request, kept in a bounded ring per shard.
struct DecisionRecord {
  std::string request_id;
  RequestFacts facts;  // blocks left out
  std::string pool;
  WallTime received{};
  Duration queued{0};
  std::vector<AttemptRecord> attempts;
  // The last decision, when it named no engine: `refusal` says how the request ended.
  std::optional<Decision> undecided;
  std::vector<std::pair<EndpointId, std::string>> engine_names;  // of all notes, for printing
  std::uint16_t status = 0;                                      // sent to the client
  std::string error_code;  // infermesh's own error, empty when none
  Duration ttft{-1};
  Duration total{0};
  bool finished = false;
};

}  // namespace infermesh
