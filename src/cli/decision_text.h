// Text of decisions: the "why" table of `infermesh explain` and `infermesh route test`.
#pragma once

#include <string>

#include "cli/session.h"

namespace infermesh::cli {

// Candidates best first, with what the decision knew of each. `prompt_tokens` is the request's.
std::string why_text(const json::value& decision, double prompt_tokens, const Page& page,
                     Format format);
// "facts: engine load 80 ms old, own in-flight counted, prefix index approximate"; empty when none
// was chosen.
std::string facts_text(const json::value& decision, const Page& page);
std::string reason_phrase(
    std::string_view reason);  // "prefix_cached" -> "holds most of the prompt in its cache"

}  // namespace infermesh::cli
