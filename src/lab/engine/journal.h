// The journal of a simulated engine: what became of every inference request, told as it happens, so
// that a test which kills the engine can say afterwards what it had in hand. `id` is the request's
// x-request-id.
#pragma once

#include <functional>
#include <string_view>

namespace infermesh::lab {

namespace journal {
constexpr std::string_view kBegin = "begin";  // accepted
constexpr std::string_view kFirst = "first";  // the first bytes of its answer's body go out next
constexpr std::string_view kEnd = "end";      // the last ones were taken by the kernel
constexpr std::string_view kGone = "gone";    // given up: the client left, or a fault was asked for
}  // namespace journal

using JournalFn = std::function<void(std::string_view event, std::string_view id)>;

}  // namespace infermesh::lab
