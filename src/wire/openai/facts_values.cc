// FactsReader: what each value says, and the sum of it (facts.h).
#include <algorithm>
#include <bit>
#include <charconv>
#include <limits>

#include "wire/json/text.h"
#include "wire/openai/facts.h"

namespace infermesh::openai {

using json::Token;
using json::TokenKind;

void FactsReader::string_piece(const Token& token) {
  switch (act_) {
    case Act::kText:
    case Act::kContent:
    case Act::kSystem:
    case Act::kMessages:
    case Act::kMessage:
    case Act::kPart:
    case Act::kRaw:
    case Act::kBatch:
    case Act::kBatchElement:
    case Act::kSideA:
    case Act::kSideB:
    case Act::kSideElement: {
      if (token.first) {
        prompt_.begin_text();
        if (act_ >= Act::kBatch) prompt_.count_text();
      }
      prompt_.add_text(token.text);
      break;
    }
    case Act::kSystemPart:
    case Act::kBillingText:
      if (token.first) prompt_.begin_billing_text();
      prompt_.add_billing_text(token.text);
      if (token.last) prompt_.end_billing_text();
      break;
    case Act::kDigest:
    case Act::kSalt:
      if (token.first) {
        prompt_.begin_capture(act_ == Act::kSalt ? Capture::kSalt : Capture::kDigest, token.begin);
      }
      break;
    default:
      break;
  }
  if (act_ == Act::kModel || act_ == Act::kTier || act_ == Act::kPrevious ||
      (is_session_value() && token.depth == 1)) {
    if (token.first) collected_.clear();
    collected_.append(token.text.substr(0, kModelBytesMax + 1 - collected_.size()));
    if (token.last) collected(token);
  }
  if (act_ == Act::kModel && collected_.size() > kModelBytesMax) {
    refuse(ErrorCode::kInvalidField, "model is longer than 4,096 bytes.", "model");
  }
  if (token.last) value_end(token);
}

void FactsReader::collected(const Token& token) {
  if (act_ == Act::kModel) model_read(token);
  if (act_ == Act::kPrevious) previous_response_ = json::unescape(collected_);
  if (act_ == Act::kTier) {
    facts_.priority = collected_ == "flex"       ? Priority::kLow
                      : collected_ == "priority" ? Priority::kHigh
                                                 : Priority::kNormal;
  }
  if (is_session_value()) sessions_[session_index_] = session_key(json::unescape(collected_));
}

void FactsReader::model_read(const Token& token) {
  std::string model = collected_.contains('\\') ? json::unescape(collected_) : collected_;
  if (models_ > 0 && model != facts_.model) model_conflict_ = true;
  facts_.model = std::move(model);
  ++models_;
  add_edit_point({EditPoint::Kind::kModel, false, value_begin_, token.end});
}

void FactsReader::number_piece(const Token& token) {
  switch (act_) {
    case Act::kCap:
    case Act::kCapFallback:
    case Act::kChoices:
    case Act::kBestOf:
      if (token.first) collected_.clear();
      if (collected_.size() < 64) collected_.append(token.text);
      if (token.last) number_read();
      break;
    case Act::kBatchElement:
      // One list of tokens is one prompt; the bracket before its first number belongs to its text.
      if (token.first && !prompt_.capturing()) {
        contexts_[token.depth] = Context::kTokenList;
        prompt_.count_text();
        prompt_.begin_capture(Capture::kTokens, token.begin);
      }
      [[fallthrough]];
    case Act::kToken:
      if (token.first) prompt_.count_token();
      break;
    default:
      break;
  }
  if (token.last) value_end(token);
}

void FactsReader::number_read() {
  double number = -1;
  std::from_chars(collected_.data(), collected_.data() + collected_.size(), number);
  if (!(number >= 0)) return;
  const auto whole = static_cast<std::int64_t>(std::min(number, 1e9));
  if (act_ == Act::kCap) cap_ = Tokens(whole);
  if (act_ == Act::kCapFallback) cap_fallback_ = Tokens(whole);
  if (act_ == Act::kChoices) n_ = whole;
  if (act_ == Act::kBestOf) best_of_ = whole;
}

void FactsReader::literal(const Token& token) {
  switch (act_) {
    case Act::kModel:  // null
      model_conflict_ = model_conflict_ || models_ > 0;
      facts_.model.clear();
      break;
    case Act::kStream:
      facts_.stream = token.kind == TokenKind::kTrue ||
                      (token.kind == TokenKind::kNull && streams_unasked(facts_.api));
      stream_known_ = true;
      break;
    case Act::kOptions:
      if (token.kind == TokenKind::kNull) {
        add_edit_point({EditPoint::Kind::kOptionsNull, false, token.begin, token.end});
      }
      break;
    case Act::kIncludeUsage:
      facts_.usage_wanted = token.kind == TokenKind::kTrue;
      if (!facts_.usage_wanted) {
        add_edit_point({EditPoint::Kind::kUsageOff, false, token.begin, token.end});
      }
      break;
    case Act::kSalt:
      if (token.kind == TokenKind::kTrue) prompt_.add_salt(1);
      break;
    case Act::kContinuousUsage:
      continuous_usage_ = token.kind == TokenKind::kTrue;
      break;
    case Act::kCap:
      cap_.reset();
      break;
    case Act::kCapFallback:
      cap_fallback_.reset();
      break;
    default:
      break;
  }
  value_end(token);
}

PromptCounter FactsReader::sum() const {
  PromptCounter all;
  PromptCounter side_a;
  PromptCounter side_b;
  for (std::uint32_t left = rows_seen_; left != 0; left &= left - 1) {
    const auto i = static_cast<std::size_t>(std::countr_zero(left));
    const Act act = rows_[i].act;
    PromptCounter& into = act == Act::kSideA ? side_a : act == Act::kSideB ? side_b : all;
    const PromptCounter& counter = prompt_.counter(i);
    into.bytes += counter.bytes;
    into.tokens += counter.tokens;
    if (act >= Act::kBatch && act <= Act::kSideB) into.texts += counter.texts;
  }
  // A single text of one side pairs with each of the other.
  const std::int64_t pairs = std::max(side_a.texts, side_b.texts);
  for (const PromptCounter& side : {side_a, side_b}) {
    const std::int64_t times = side.texts == 1 ? std::max<std::int64_t>(pairs, 1) : 1;
    all.bytes += side.bytes * times;
    all.tokens += side.tokens * times;
  }
  all.texts = std::max(all.texts, pairs);
  return all;
}

RequestFacts FactsReader::facts() const {
  RequestFacts facts = facts_;
  const PromptCounter all = sum();
  facts.prompt_tokens = Tokens(all.bytes / 4 + all.tokens);
  facts.output_tokens_max = cap_ ? cap_ : cap_fallback_;
  const std::int64_t sequences = std::clamp<std::int64_t>(std::max(n_, best_of_), 1, 1'000'000);
  const std::int64_t batch = std::clamp<std::int64_t>(all.texts, 1, 1'000'000);
  facts.choices = static_cast<std::uint32_t>(
      std::min<std::int64_t>(sequences * batch, std::numeric_limits<std::uint32_t>::max()));
  facts.blocks.assign(prompt_.blocks().begin(), prompt_.blocks().end());
  return facts;
}

}  // namespace infermesh::openai
