#include "wire/openai/prompt_text.h"

#include <algorithm>
#include <cstring>

namespace infermesh::openai {
namespace {

constexpr std::string_view kBillingHeader = "x-anthropic-billing-header";
// Between texts, so that ("ab", "c") and ("a", "bc") differ. JSON strings never contain it as
// written.
constexpr std::string_view kSeparator = "\x1f";

}  // namespace

PromptText::PromptText(std::uint32_t block_bytes, std::size_t blocks_max)
    : hasher_(block_bytes, 0, std::max<std::size_t>(blocks_max, 1)),
      digest_(block_bytes, 0, 0),
      hashing_(blocks_max > 0) {}

void PromptText::set_input(std::string_view bytes, std::uint64_t offset) {
  input_ = bytes;
  offset_ = offset;
}

void PromptText::restart_field(std::size_t row) {
  bytes_ = 0;
  counters_[row] = {};
  hasher_.restart();
  begun_ = false;
}

void PromptText::add_text(std::string_view text) {
  counter().bytes += static_cast<std::int64_t>(text.size());
  hash(text);
}

void PromptText::hash(std::string_view text) {
  bytes_ += text.size();
  if (!hashing_ || text.empty()) return;
  if (!begun_) {
    begun_ = true;
    if (salt_ != 0) hasher_.mix(salt_);
  }
  if (separator_due_) {
    separator_due_ = false;
    hasher_.feed(kSeparator);
  }
  hasher_.feed(text);
}

void PromptText::begin_billing_text() {
  begin_text();
  billing_matched_ = 0;
  billing_decided_ = false;
}

void PromptText::add_billing_text(std::string_view text) {
  if (!billing_decided_) {
    const std::string_view left = kBillingHeader.substr(billing_matched_);
    const std::size_t compared = std::min(left.size(), text.size());
    std::size_t same = 0;
    while (same < compared && text[same] == left[same]) ++same;
    if (same == compared) {
      billing_matched_ += same;
      return;  // all of it so far; a full match leaves the rest out too
    }
    billing_decided_ = true;
    add_text(kBillingHeader.substr(0, billing_matched_));
  }
  add_text(text);
}

void PromptText::end_billing_text() {
  if (billing_decided_ || billing_matched_ == kBillingHeader.size()) return;
  add_text(kBillingHeader.substr(0, billing_matched_));
}

void PromptText::begin_capture(Capture capture, std::uint64_t from) {
  capture_ = capture;
  capture_from_ = from;
  if (capture == Capture::kRaw || capture == Capture::kTokens) begin_text();
  if (capture == Capture::kDigest || capture == Capture::kSalt) digest_.restart();
}

void PromptText::add_salt(std::uint64_t value) {
  salt_ = salt_ * 0x9e3779b97f4a7c15ULL + value;
}

void PromptText::flush(std::uint64_t until) {
  if (capture_ == Capture::kNone) return;
  const std::string_view span = input_.substr(capture_from_ - offset_, until - capture_from_);
  capture_from_ = until;
  if (capture_ == Capture::kRaw) {
    add_text(span);
  } else if (capture_ == Capture::kTokens) {
    hash(span);
  } else {
    digest_.feed(span);
  }
}

void PromptText::end_capture(std::uint64_t until) {
  flush(until);
  const Capture capture = capture_;
  capture_ = Capture::kNone;
  if (capture != Capture::kDigest && capture != Capture::kSalt) return;
  const std::uint64_t digest = digest_.digest();
  if (capture == Capture::kSalt) return add_salt(digest | 1);
  char bytes[sizeof digest];
  std::memcpy(bytes, &digest, sizeof digest);
  counter().tokens += kMediaTokens;
  begin_text();
  hash({bytes, sizeof bytes});
}

}  // namespace infermesh::openai
