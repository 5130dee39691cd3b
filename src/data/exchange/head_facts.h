// What a request's head says about its routing: deadlines, priority, session. A value that cannot
// be used is refused by name rather than passed over: a client that asks for a deadline relies on
// it.
#pragma once

#include "base/result.h"
#include "core/model/objects.h"
#include "core/model/request_facts.h"
#include "wire/http/head.h"

namespace infermesh::data {

// Sets deadline (from `received` on) and priority. Headers: x-infermesh-timeout-ms,
// x-stainless-read-timeout (seconds, the official clients send it), x-infermesh-priority (low,
// normal, high; it wins over the body's service_tier).
Result<void> read_head_facts(const http::Headers& headers, Instant received, RequestFacts& facts);

// Sets the session key that the policy's header gives.
void read_session(const http::Headers& headers, const RoutingPolicyObject& policy,
                  RequestFacts& facts);

// How much of the prompt a policy looks at; the rest need not have arrived when it decides.
std::uint64_t prompt_bytes_wanted(const RoutingPolicyObject& policy, std::uint64_t most);

}  // namespace infermesh::data
