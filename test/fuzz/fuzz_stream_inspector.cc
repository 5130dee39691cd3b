// Streams and answers of engines. A frame is called bad exactly when it is not a JSON object; what
// ends a stream ends it for good; the events before make no difference to the verdict; renaming
// keeps JSON; an answer cut anywhere gives the same usage and the same bytes.
#include <string>
#include <vector>

#include "fuzz_cuts.h"
#include "wire/json/members.h"
#include "wire/openai/answer.h"
#include "wire/openai/stream_inspector.h"

namespace {

using namespace infermesh;
using namespace infermesh::openai;

void one_event(StreamInspector& inspector, const StreamInspector& fresh, std::string_view data) {
  const bool over = inspector.ended() || inspector.failed();
  const fuzz::Exact exact(data);
  const StreamVerdict verdict = inspector.on_event("", exact.view());
  StreamInspector alone = fresh;  // knows of no event before
  if (!over) IM_ASSERT(alone.on_event("", exact.view()) == verdict);
  if (over || data.empty()) {
    IM_ASSERT(verdict.action == StreamAction::kDrop && !verdict.content);
    return;
  }
  const bool object = json::read_members(data).has_value();
  const bool mark = data.contains("[DONE]") && !object;
  if (!mark) IM_ASSERT((verdict.action == StreamAction::kBad) == !object);
  IM_ASSERT(inspector.error().has_value() == (verdict.action == StreamAction::kError));
  if (object) {
    IM_ASSERT(json::read_members(with_model(data, inspector.models(), "a\"b")).has_value());
  }
}

std::string put_back(Api api, const fuzz::Input& input, Usage& usage) {
  ResponseReader reader(api);
  BodySplicer splicer(reader, {.model = "alias", .usage = false});
  std::string sent;
  fuzz::for_each_piece(input, [&](std::string_view bytes) {
    const fuzz::Exact piece(bytes);
    reader.feed(piece.view());
    std::vector<std::string_view> out;
    splicer.push(piece.view(), out);
    for (const auto view : out) sent += view;
  });
  usage = reader.usage();
  return reader.valid() && reader.complete() ? sent : std::string();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Input input = fuzz::read_input(data, size);
  constexpr Api kApisOfStreams[]{Api::kChat,     Api::kCompletions, Api::kResponses,
                                 Api::kMessages, Api::kOllamaChat,  Api::kOllamaGenerate};
  const Api api = kApisOfStreams[input.choice % 6];
  StreamInspector inspector(api, input.choice % 12 < 6 ? UsageEvents::kKeep : UsageEvents::kStrip);
  const StreamInspector fresh = inspector;
  for (std::string_view rest = input.bytes; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    one_event(inspector, fresh, rest.substr(0, end));
    if (input.choice % 16 < 8) one_event(inspector, fresh, rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }

  ResponseReader whole(api);
  BodySplicer splicer(whole, {.model = "alias", .usage = false});
  whole.feed(input.bytes);
  Usage usage;
  const std::string pieces = put_back(api, input, usage);
  if (!whole.valid() || !whole.complete()) return 0;
  std::vector<std::string_view> out;
  splicer.push(input.bytes, out);
  std::string sent;
  for (const auto view : out) sent += view;
  IM_ASSERT(sent == pieces);
  IM_ASSERT(whole.usage() == usage);
  return 0;
}
