// What a request's head says about its routing: deadlines, priority, session. A value that cannot
// be used is refused by name rather than passed over: a client that asks for a deadline relies on
// it.
#pragma once

#include <optional>

#include "base/result.h"
#include "core/model/objects.h"
#include "core/model/request_facts.h"
#include "wire/http/head.h"
#include "wire/openai/body_reader.h"

namespace infermesh::data {

// Headers: x-infermesh-timeout-ms, x-stainless-read-timeout (seconds, the official clients send
// it), x-infermesh-priority (low, normal, high; it wins over the body's service_tier).
struct HeadFacts {
  Instant deadline = kNever;
  std::optional<Priority> priority;
};
Result<HeadFacts> read_head_facts(const http::Headers& headers, Instant received);

// The session key that the policy's header gives, or its field of the body as far as that has been
// read; 0: none.
std::uint64_t session_of(const http::Headers& headers, const RoutingPolicyObject& policy,
                         const openai::BodyReader& body);

// All that the policy looks at has arrived: the session's key, or up to `most` bytes of the prompt.
bool knows_enough(const http::Headers& headers, const RoutingPolicyObject& policy,
                  const openai::BodyReader& body, std::uint64_t most);

}  // namespace infermesh::data
