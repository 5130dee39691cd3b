// Error bodies of engines. Whatever they are, the client gets a bounded message in a valid
// envelope, no markup and no stack trace.
#include <array>
#include <string>

#include "fuzz_cuts.h"
#include "wire/json/members.h"
#include "wire/openai/error_body.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace infermesh;
  using namespace infermesh::openai;
  const fuzz::Input input = fuzz::read_input(data, size);
  constexpr std::array<std::uint16_t, 6> kStatuses{0, 400, 404, 429, 500, 503};
  const std::uint16_t status = kStatuses[input.choice % kStatuses.size()];
  const fuzz::Exact body(input.bytes);
  const UpstreamError error =
      normalize_upstream_error(Api::kChat, status, "text/plain", body.view());
  IM_ASSERT(status == 0 ? error.status >= 400 : error.status == status);
  IM_ASSERT(!error.message.empty() && error.message.size() <= kMessageBytesMax);
  IM_ASSERT(!error.message.starts_with('<') && !error.type.empty());
  IM_ASSERT(!error.message.contains("Traceback (most recent call last)\n"));
  for (const auto family : {ErrorFamily::kOpenai, ErrorFamily::kAnthropic, ErrorFamily::kPlain}) {
    const ErrorReply reply = error_reply(family, error, "r");
    const auto members = json::read_members(reply.body);
    IM_ASSERT(members.has_value());
    const auto path = family == ErrorFamily::kPlain ? "error" : "error.message";
    IM_ASSERT(json::find_member(*members, path)->text() == error.message);
  }
  return 0;
}
