// Streams of JSON lines. Cut anywhere they give the same lines; the lines are those of the text,
// but for the blank ones; what is relayed is what came.
#include <string>
#include <vector>

#include "base/text.h"
#include "fuzz_cuts.h"
#include "wire/http/json_lines.h"

namespace {

using namespace infermesh;

struct Lines {
  std::vector<std::string> texts;
  std::string raw;
};

void take(http::LineSplitter& splitter, std::string_view piece, Lines& lines) {
  const fuzz::Exact exact(piece);
  splitter.push(exact.view());
  while (true) {
    const auto next = splitter.next();
    IM_ASSERT(next.has_value());
    if (!*next) return;
    IM_ASSERT((*next)->raw.starts_with((*next)->text) && (*next)->raw.ends_with('\n'));
    lines.texts.emplace_back((*next)->text);
    lines.raw += (*next)->raw;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Input input = fuzz::read_input(data, size);
  http::LineSplitter whole, cut;
  Lines first, second;
  take(whole, input.bytes, first);
  fuzz::for_each_piece(input, [&](std::string_view piece) { take(cut, piece, second); });
  IM_ASSERT(first.texts == second.texts && first.raw == second.raw);
  IM_ASSERT(whole.has_partial() == cut.has_partial());

  std::string expected;
  std::size_t at = 0;
  for (auto end = input.bytes.find('\n'); end != input.bytes.npos;
       at = end + 1, end = input.bytes.find('\n', at)) {
    const auto line = input.bytes.substr(at, end + 1 - at);
    if (!trim(line).empty()) expected += line;
  }
  IM_ASSERT(first.raw == expected);
  IM_ASSERT(whole.has_partial() == (at < input.bytes.size()));
  return 0;
}
