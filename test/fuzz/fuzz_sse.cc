// Event streams. Cut anywhere they give the same events; the events are those of a plain reader of
// the WHATWG rules; and no id or retry is left after they were taken out.
#include <string>
#include <vector>

#include "fuzz_cuts.h"
#include "wire/http/sse.h"

namespace {

using namespace infermesh;

struct Event {
  std::string raw, event, data;
  bool has_data = false, is_comment_only = false, has_id_or_retry = false;
  bool operator==(const Event&) const = default;
};

void take(http::SseSplitter& splitter, std::string_view piece, std::vector<Event>& events) {
  const fuzz::Exact exact(piece);
  splitter.push(exact.view());
  while (true) {
    const auto next = splitter.next();
    if (!next || !*next) break;
    const auto& e = **next;
    events.push_back({std::string(e.raw), std::string(e.event), std::string(e.data), e.has_data,
                      e.is_comment_only, e.has_id_or_retry});
  }
  if (!splitter.has_partial()) IM_ASSERT(splitter.held_bytes() == 0);
}

// The complete events of a stream, read line by line from the start.
std::vector<Event> plain_reader(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  std::vector<Event> events;
  Event event;
  bool has_line = false;
  while (!text.empty()) {
    const auto end = text.find_first_of("\r\n");
    if (end == std::string_view::npos) break;
    const auto line = text.substr(0, end);
    text.remove_prefix(end + (text.substr(end).starts_with("\r\n") ? 2 : 1));
    if (line.empty()) {
      if (has_line) events.push_back(event);
      event = {};
      has_line = false;
      continue;
    }
    has_line = true;
    const auto colon = line.find(':');
    auto value = colon == std::string_view::npos ? std::string_view{} : line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    const auto name = line.substr(0, colon);
    if (name == "event") event.event = value;
    if (name == "data") {
      if (event.has_data) event.data += '\n';
      event.data += value;
      event.has_data = true;
    }
  }
  return events;
}

void check_against_plain_reader(const std::vector<Event>& events, std::string_view text) {
  if (text.ends_with('\r')) return;  // the splitter may wait for an LF there
  const auto plain = plain_reader(text);
  IM_ASSERT(plain.size() == events.size());
  for (std::size_t i = 0; i < plain.size(); ++i) {
    IM_ASSERT(plain[i].event == events[i].event && plain[i].data == events[i].data);
    IM_ASSERT(plain[i].has_data == events[i].has_data);
  }
}

void check_stripped(const Event& event) {
  std::string stripped;
  http::append_without_id_and_retry(stripped, event.raw);
  if (!event.has_id_or_retry) IM_ASSERT(stripped == event.raw);
  std::vector<Event> again;
  http::SseSplitter splitter;
  // A line before it, so that its first bytes are not taken for a byte order mark.
  take(splitter, "\n" + stripped + "\n", again);
  IM_ASSERT(again.size() == (stripped.empty() ? 0 : 1));
  if (again.empty()) return;
  IM_ASSERT(again[0].data == event.data && again[0].event == event.event);
  IM_ASSERT(!again[0].has_id_or_retry);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = fuzz::read_input(data, size);
  http::SseSplitter whole, cut;
  std::vector<Event> first, second;
  take(whole, input.bytes, first);
  fuzz::for_each_piece(input, [&](std::string_view piece) { take(cut, piece, second); });
  IM_ASSERT(first == second);
  IM_ASSERT(whole.has_partial() == cut.has_partial());
  check_against_plain_reader(first, input.bytes);
  for (const Event& event : first) check_stripped(event);
  return 0;
}
