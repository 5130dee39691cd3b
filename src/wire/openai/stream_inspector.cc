#include "wire/openai/stream_inspector.h"

#include <algorithm>

#include "base/text.h"
#include "core/model/api_kind.h"
#include "wire/json/find_special.h"
#include "wire/json/write.h"

namespace infermesh::openai {
namespace {

constexpr std::size_t kLearnedBytesMax = 1024;

bool is_responses(Api api) {
  return api == Api::kResponses || api == Api::kStoredResponse;
}

bool is_chunk_stream(Api api) {
  return !is_responses(api) && api != Api::kMessages && !is_ollama(api);
}

bool ends_responses(std::string_view type) {
  return type == "response.completed" || type == "response.incomplete" ||
         type == "response.failed" || type == "response.cancelled";
}

}  // namespace

StreamInspector::StreamInspector(Api api, UsageEvents usage_events)
    : api_(api), usage_events_(usage_events), scan_(api), may_end_(is_tensor(api)) {
  scan_.begin();
}

StreamVerdict StreamInspector::on_event(std::string_view event, std::string_view data) {
  if (is_like_last(event, data)) {
    ++content_events_;
    return {StreamAction::kRelay, true};
  }
  last_.clear();
  const StreamVerdict verdict = scan(event, data);
  if (verdict == StreamVerdict{StreamAction::kRelay, true}) learn(event, data);
  return verdict;
}

// What an event like the last one would change was changed by the last one: nothing is learned of
// one that gave a finish reason or went on counting.
void StreamInspector::learn(std::string_view event, std::string_view data) {
  const AnswerScan::Span text = scan_.only_content();
  if (text.empty() || data.size() > kLearnedBytesMax || event.size() > kLearnedBytesMax) return;
  if (!scan_.finish_reason().empty() || scan_.sequence_number()) return;
  // The places of model names must be those of the event to come.
  if (!scan_.models().empty() && scan_.models().back().end > text.begin) return;
  last_.append(event).append(data);
  last_name_ = event.size();
  last_text_ = event.size() + text.begin;
  last_after_ = event.size() + text.end;
}

bool StreamInspector::is_like_last(std::string_view event, std::string_view data) const {
  if (last_.empty() || event.size() != last_name_) return false;
  const std::string_view last = last_;
  const std::string_view before = last.substr(last_name_, last_text_ - last_name_);
  const std::string_view after = last.substr(last_after_);  // from the closing quote on
  if (data.size() <= before.size() + after.size()) return false;
  if (!data.starts_with(before) || !data.ends_with(after) || !last.starts_with(event)) return false;
  const char* const end = data.data() + data.size();
  return json::find_closing_quote(data.data() + before.size(), end) == end - after.size();
}

StreamVerdict StreamInspector::scan(std::string_view event, std::string_view data) {
  scan_.begin();
  if (ended_ || failed_ || data.empty()) return {.action = StreamAction::kDrop};
  if (trim(data) == "[DONE]") return done_mark();

  if (!scan_.feed(data) || !scan_.finish() || !scan_.is_object()) {
    failed_ = true;
    return {.action = StreamAction::kBad};
  }
  if (const auto sequence = scan_.sequence_number()) {
    next_sequence_ = static_cast<std::uint64_t>(*sequence) + 1;
  }
  if (!scan_.finish_reason().empty()) {
    finish_reason_ = scan_.finish_reason();
    ++finish_reasons_;
  }
  const std::string_view type = scan_.type().empty() ? event : scan_.type();
  if (scan_.has_error() || type == "error" || event == "error") {
    failed_ = true;
    error_ = normalize_upstream_error(api_, 0, "application/json", data);
    return {.action = StreamAction::kError};
  }
  StreamVerdict verdict = judge(type);
  if (verdict.content) ++content_events_;
  return verdict;
}

StreamVerdict StreamInspector::judge(std::string_view type) {
  if (api_ == Api::kMessages) {
    ended_ = type == "message_stop";
    return {ended_ ? StreamAction::kEnd : StreamAction::kRelay,
            type == "content_block_delta" && scan_.has_content()};
  }
  if (is_ollama(api_)) {
    ended_ = scan_.is_done();
    return {ended_ ? StreamAction::kEnd : StreamAction::kRelay, scan_.has_content()};
  }
  if (is_responses(api_)) {
    ended_ = ends_responses(type);
    failed_ = type == "response.failed";
    return {ended_ ? StreamAction::kEnd : StreamAction::kRelay,
            type.ends_with(".delta") && scan_.has_content()};
  }
  if (is_tensor(api_)) return {StreamAction::kRelay, api_ == Api::kGenerate};
  if (is_media(api_)) may_end_ = type.ends_with(".done") || type.ends_with(".completed");
  const bool only_usage = scan_.has_usage() && scan_.has_empty_choices();
  if (only_usage && usage_events_ == UsageEvents::kStrip) return {.action = StreamAction::kDrop};
  return {StreamAction::kRelay, scan_.has_content()};
}

StreamVerdict StreamInspector::done_mark() {
  // The other streams have an end of their own; a mark after or instead of it is not part of them.
  if (!is_chunk_stream(api_)) return {.action = StreamAction::kDrop};
  ended_ = true;
  return {.action = StreamAction::kEnd};
}

Tokens StreamInspector::output_tokens() const {
  const Tokens seen(static_cast<std::int64_t>(content_events_));
  const Tokens told = usage().output.value_or(seen);
  // What the beginning of a message says of its output is no more than a beginning.
  return ended_ ? told : std::max(told, seen);
}

std::string with_model(std::string_view text, std::span<const EditPoint> models,
                       std::string_view model) {
  const std::string quoted = json::quoted(model);
  std::string out;
  out.reserve(text.size() + quoted.size());
  std::size_t at = 0;
  for (const EditPoint& point : models) {
    out.append(text.substr(at, point.begin - at)).append(quoted);
    at = point.end;
  }
  out.append(text.substr(at));
  return out;
}

}  // namespace infermesh::openai
