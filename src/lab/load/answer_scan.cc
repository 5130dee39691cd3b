#include "lab/load/answer_scan.h"

#include <array>
#include <charconv>
#include <utility>

namespace infermesh::lab {
namespace {

std::uint64_t number_after(std::string_view text, std::string_view key) {
  const auto at = text.find(key);
  if (at == std::string_view::npos) return 0;
  text.remove_prefix(at + key.size());
  while (text.starts_with(' ')) text.remove_prefix(1);
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Whether a string member of the frame has text in it.
bool has_text(std::string_view frame) {
  constexpr std::array<std::string_view, 4> kMembers{
      "\"content\":\"", "\"text\":\"", "\"reasoning\":\"", "\"reasoning_content\":\""};
  for (const auto member : kMembers) {
    const auto at = frame.find(member);
    if (at == std::string_view::npos) continue;
    const auto next = at + member.size();
    if (next < frame.size() && frame[next] != '"') return true;
  }
  return false;
}

}  // namespace

void AnswerScan::feed_stream(std::string_view payload, Instant now) {
  while (!payload.empty()) {
    const auto end = payload.find('\n');
    if (end == std::string_view::npos) {
      if (kept_.size() < kKeptMax) kept_ += payload;
      return;
    }
    if (kept_.empty()) {
      line(payload.substr(0, end), now);
    } else {
      kept_ += payload.substr(0, end);
      line(kept_, now);
      kept_.clear();
    }
    payload.remove_prefix(end + 1);
  }
}

void AnswerScan::line(std::string_view text, Instant now) {
  if (text.ends_with('\r')) text.remove_suffix(1);
  if (!text.starts_with("data:")) return;
  text.remove_prefix(text.starts_with("data: ") ? 6 : 5);
  if (text == "[DONE]") {
    done_ = true;
    return;
  }
  if (text.starts_with("{\"error\"")) {
    failed_ = true;
    if (answer_.message.empty()) answer_.message = text.substr(0, 200);
    return;
  }
  if (has_text(text)) {
    if (answer_.token_frames++ == 0) {
      answer_.first_token = now;
    } else if (inter_token_ != nullptr) {
      inter_token_->record(now - answer_.last_token);
    }
    answer_.last_token = now;
  }
  if (text.find("\"usage\":{") != std::string_view::npos) read_usage(text);
}

void AnswerScan::feed_whole(std::string_view payload) {
  if (kept_.size() + payload.size() <= kKeptMax) kept_ += payload;
}

void AnswerScan::end_whole() {
  if (kept_.find("\"usage\":") != std::string::npos) read_usage(kept_);
}

void AnswerScan::read_usage(std::string_view text) {
  const auto at = text.find("\"usage\":");
  text.remove_prefix(at);
  answer_.usage_seen = true;
  answer_.prompt_tokens = number_after(text, "\"prompt_tokens\":");
  answer_.completion_tokens = number_after(text, "\"completion_tokens\":");
  answer_.cached_tokens = number_after(text, "\"cached_tokens\":");
}

}  // namespace infermesh::lab
