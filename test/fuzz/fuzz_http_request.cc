// Requests of one connection. Cut anywhere they read alike; and a head that was accepted, written
// again with the appenders, reads back the same.
#include "http_connection.h"
#include "wire/http/write.h"

namespace {

using namespace infermesh;

void check_round_trip(std::string_view bytes) {
  http::RequestHeadParser first, second;
  const auto progress = first.feed(bytes);
  if (!progress || progress->state != http::HeadState::kDone) return;
  const auto& head = first.head();
  std::string again;
  http::append_request_line(again, head.method, head.target);
  for (const auto& header : head.headers) http::append_header(again, header.name, header.value);
  http::append_head_end(again);
  if (head.version_minor == 0) return;  // the appender speaks HTTP/1.1, which asks for more
  const auto reread = second.feed(again);
  IM_ASSERT(reread && reread->consumed == again.size());
  IM_ASSERT(second.head().method == head.method && second.head().target == head.target);
  IM_ASSERT(second.head().content_length == head.content_length);
  IM_ASSERT(second.head().chunked == head.chunked);
  IM_ASSERT(second.head().keep_alive == head.keep_alive);
  IM_ASSERT(second.head().headers.size() == head.headers.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = fuzz::read_input(data, size);
  const std::size_t limit = input.choice < 16 ? 100 : http::kHeadBytesMax;
  fuzz::read_both_ways(input, http::RequestHeadParser(limit));
  check_round_trip(input.bytes);
  return 0;
}
