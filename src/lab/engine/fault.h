// Fault: how a simulated engine misbehaves on one request. Written in an `x-fault` request header
// or the --fault flag as words separated by commas:
//
//   delay=200ms        waits before anything else
//   status=503         answers with this error instead (retry-after=S adds the header)
//   reset[=N]          resets the connection: before the answer, or after N frames
//   cut=N              closes without the end of the body after N frames (without a stream: within
//   the body) stall=N            sends nothing more after N frames; the connection stays
//   bad-chunk[=N]      breaks the chunk framing after N frames
//   bad-frame[=N]      puts a frame in that is not JSON after N frames, then goes on
//   error-frame[=N]    ends the stream with an error frame and [DONE] after N frames
//   no-done            ends the stream without [DONE]
//   content-type=T     answers with another content type and an HTML body
//
// Frames are SSE data frames, the first one with the role included. N is 1 where it is left out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace infermesh::lab {

struct Fault {
  Duration delay{0};
  int status = 0;  // 0: none
  std::optional<std::uint32_t> retry_after_seconds;
  bool reset_at_once = false;
  std::optional<std::uint32_t> reset_after, cut_after, stall_after, bad_chunk_after,
      bad_frame_after, error_frame_after;
  bool no_done = false;
  std::string content_type;

  bool operator==(const Fault&) const = default;
};

Result<Fault> parse_fault(std::string_view text);

}  // namespace infermesh::lab
