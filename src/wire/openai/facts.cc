#include "wire/openai/facts.h"

#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "wire/json/text.h"

namespace infermesh::openai {

using json::Token;
using json::TokenKind;

namespace {

constexpr std::size_t kKeyRawMax = 6 * kKeyBytesMax + 6;  // every byte may be escaped

bool ends_container(TokenKind kind) {
  return kind == TokenKind::kEndObject || kind == TokenKind::kEndArray;
}

std::string_view kind_text(TokenKind kind) {
  switch (kind) {
    case TokenKind::kBeginObject:
      return "an object";
    case TokenKind::kBeginArray:
      return "an array";
    case TokenKind::kString:
      return "a string";
    case TokenKind::kNumber:
      return "a number";
    case TokenKind::kNull:
      return "null";
    default:
      return "a boolean";
  }
}

// Prompt fields: given twice, they begin anew.
bool is_prompt(Act act) {
  return act >= Act::kText && act <= Act::kSideB;
}

// Fields after whose end nothing more of the prompt is expected.
bool is_main_prompt(Act act) {
  return act == Act::kMessages || act == Act::kBatch || act == Act::kSideB;
}

}  // namespace

std::uint64_t session_key(std::string_view value) {
  const std::uint64_t hash = XXH3_64bits(value.data(), value.size());
  return hash == 0 ? 1 : hash;
}

FactsReader::FactsReader(Api api, FactsOptions options)
    : options_(std::move(options)),
      rows_(root_fields(api)),
      prompt_(options_.block_bytes, options_.hash_prompt == HashPrompt::kYes
                                        ? std::min(options_.prompt_blocks_max, kPromptBlocksMax)
                                        : 0) {
  facts_.api = api;
}

Result<void> FactsReader::feed(std::string_view bytes) {
  if (error_) return std::unexpected(*error_);
  prompt_.set_input(bytes, scanner_.offset());
  scanner_.feed(bytes);
  for (Token token = scanner_.next(); token.kind != TokenKind::kMore; token = scanner_.next()) {
    if (token.kind == TokenKind::kError) {
      refuse(ErrorCode::kInvalidJson, "The body is not valid JSON: " + scanner_.error_text() + ".",
             {});
    } else if (subtree_ == kNoSubtree) {
      take(token);
    } else if (ends_container(token.kind) && token.depth == subtree_) {
      subtree_ = kNoSubtree;
      value_end(token);
    }
    if (error_) return std::unexpected(*error_);
  }
  prompt_.end_input();
  facts_.body_bytes = Bytes(static_cast<std::int64_t>(scanner_.offset()));
  return {};
}

Result<void> FactsReader::finish() {
  if (!error_ && !scanner_.finish()) {
    refuse(ErrorCode::kInvalidJson, "The body is not valid JSON: " + scanner_.error_text() + ".",
           {});
  }
  if (error_) return std::unexpected(*error_);
  return {};
}

void FactsReader::take(const Token& token) {
  switch (token.kind) {
    case TokenKind::kKey:
      return key_piece(token);
    case TokenKind::kBeginObject:
    case TokenKind::kBeginArray:
      begin_value(token);
      return begin_container(token);
    case TokenKind::kEndObject:
    case TokenKind::kEndArray:
      return end_container(token);
    case TokenKind::kString:
      if (token.first) begin_value(token);
      return string_piece(token);
    case TokenKind::kNumber:
      if (token.first) begin_value(token);
      return number_piece(token);
    default:
      begin_value(token);
      return literal(token);
  }
}

void FactsReader::key_piece(const Token& token) {
  if (token.first) key_.clear();
  key_.append(token.text.substr(0, kKeyRawMax - key_.size()));
  if (!token.last) return;
  if (key_.contains('\\')) key_ = json::unescape(key_);
  if (token.depth == 1) return root_key();
  const Context context = contexts_[token.depth];
  key_act_ = member_act(context, key_);
  if (context != Context::kOptions) return;
  options_have_members_ = true;
  options_name_usage_ = options_name_usage_ || key_act_ == Act::kIncludeUsage;
}

void FactsReader::root_key() {
  root_has_members_ = true;
  const auto row = std::ranges::find(rows_, key_, &FieldRow::key);
  root_row_ = static_cast<std::size_t>(row - rows_.begin());
  key_act_ = Act::kSkip;
  session_value_ = !options_.session_body_key.empty() && key_ == options_.session_body_key;
  if (row == rows_.end()) return;
  key_act_ = row->act;
  const std::uint32_t bit = 1U << root_row_;
  prompt_.begin_field(root_row_);
  if (is_prompt(key_act_) && (rows_seen_ & bit) != 0) prompt_.restart_field(root_row_);
  rows_seen_ |= bit;
}

// Sets act_ for the value that begins with this token.
void FactsReader::begin_value(const Token& token) {
  value_begin_ = token.begin;
  if (token.depth == 0) {
    act_ = Act::kSkip;
    if (token.kind != TokenKind::kBeginObject) {
      refuse(ErrorCode::kInvalidJson,
             "The body is not a JSON object but " + std::string(kind_text(token.kind)) + ".", {});
    }
    return;
  }
  const Context context = contexts_[token.depth];
  const Act element = element_act(context);
  act_ = element == Act::kSkip ? key_act_ : element;
  if (act_ == Act::kModel && token.kind != TokenKind::kString && token.kind != TokenKind::kNull) {
    wrong_type(token, "model", "a string");
  }
  if (act_ == Act::kStream && token.kind != TokenKind::kTrue && token.kind != TokenKind::kFalse &&
      token.kind != TokenKind::kNull) {
    wrong_type(token, "stream", "true, false or null");
  }
  if (act_ == Act::kOptions) {
    options_seen_ = true;
    facts_.usage_wanted = false;
    continuous_usage_ = false;
  }
  if (act_ == Act::kStored && token.kind != TokenKind::kNull && token.kind != TokenKind::kFalse) {
    stored_field_ = rows_[root_row_].key;
  }
}

void FactsReader::begin_container(const Token& token) {
  if (token.depth == 0) return enter(token, Context::kRoot);
  const bool array = token.kind == TokenKind::kBeginArray;
  switch (act_) {
    case Act::kOptions:
      if (array) break;
      options_name_usage_ = false;
      options_have_members_ = false;
      return enter(token, Context::kOptions);
    case Act::kMessages:
      if (array) return enter(token, Context::kMessageList);
      break;
    case Act::kContent:
      if (array) return enter(token, Context::kPartList);
      prompt_.begin_capture(Capture::kRaw, token.begin);
      break;
    case Act::kSystem:
      if (array) return enter(token, Context::kSystemList);
      break;
    case Act::kBatch:
      if (array) return enter(token, Context::kBatchList);
      break;
    case Act::kSideA:
    case Act::kSideB:
      if (array) return enter(token, Context::kSideList);
      prompt_.count_text();
      return enter(token, Context::kDocument);
    case Act::kMessage:
      if (!array) return enter(token, Context::kMessage);
      break;
    case Act::kPart:
      if (!array) return enter(token, Context::kPart);
      break;
    case Act::kSystemPart:
      if (!array) return enter(token, Context::kSystemPart);
      break;
    case Act::kBatchElement:
      prompt_.count_text();
      if (array) return enter(token, Context::kTokenList);
      prompt_.begin_capture(Capture::kRaw, token.begin);
      break;
    case Act::kSideElement:
      prompt_.count_text();
      if (!array) return enter(token, Context::kDocument);
      break;
    case Act::kRaw:
      prompt_.begin_capture(Capture::kRaw, token.begin);
      break;
    case Act::kDigest:
      prompt_.begin_capture(Capture::kDigest, token.begin);
      break;
    case Act::kSalt:
      prompt_.begin_capture(Capture::kSalt, token.begin);
      break;
    default:
      break;
  }
  subtree_ = token.depth;
}

void FactsReader::enter(const Token& token, Context context) {
  if (token.depth + 1U >= kContexts) {
    subtree_ = token.depth;
    return;
  }
  contexts_[token.depth + 1U] = context;
  key_act_ = Act::kSkip;
  // Lists of numbers are text as written: begun at the bracket, ended with it.
  if (context == Context::kTokenList) prompt_.begin_capture(Capture::kTokens, token.begin);
}

void FactsReader::end_container(const Token& token) {
  if (token.depth == 0) {
    if (!options_seen_) {
      add_edit_point({EditPoint::Kind::kBodyEnd, root_has_members_, token.begin, token.begin});
    }
    facts_.complete = true;
    return;
  }
  if (contexts_[token.depth + 1U] == Context::kOptions) end_options(token);
  value_end(token);
}

void FactsReader::end_options(const Token& token) {
  if (options_name_usage_) return;
  add_edit_point({EditPoint::Kind::kUsageMissing, options_have_members_, token.begin, token.begin});
}

// The value that ends with this token is read. Called for containers and scalars inside of the
// root.
void FactsReader::value_end(const Token& token) {
  // A token list inside a batch is captured as a whole, its numbers end nothing.
  const bool in_tokens = contexts_[token.depth] == Context::kTokenList;
  if (prompt_.capturing() && !in_tokens) prompt_.end_capture(token.end);
  if (token.depth == 1 && root_row_ < rows_.size() && is_main_prompt(rows_[root_row_].act)) {
    prompt_read_ = true;
  }
}

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
  if (act_ == Act::kModel || act_ == Act::kTier || (session_value_ && token.depth == 1)) {
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
  if (act_ == Act::kTier) {
    facts_.priority = collected_ == "flex"       ? Priority::kLow
                      : collected_ == "priority" ? Priority::kHigh
                                                 : Priority::kNormal;
  }
  if (session_value_) facts_.session_key = session_key(json::unescape(collected_));
}

void FactsReader::model_read(const Token& token) {
  std::string model = json::unescape(collected_);
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
      facts_.stream = token.kind == TokenKind::kTrue;
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

bool FactsReader::ready_to_route(std::uint64_t prompt_bytes_wanted) const {
  if (error_ || (models_ == 0 && !complete())) return false;
  return complete() || prompt_read_ || prompt_.hashed_enough() ||
         prompt_.bytes() >= prompt_bytes_wanted;
}

std::uint64_t FactsReader::settled_offset() const {
  const bool in_model = act_ == Act::kModel && !complete() && scanner_.in_string_value();
  return in_model ? value_begin_ : scanner_.settled_offset();
}

PromptCounter FactsReader::sum() const {
  PromptCounter all;
  PromptCounter side_a;
  PromptCounter side_b;
  for (std::size_t i = 0; i < rows_.size(); ++i) {
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

void FactsReader::add_edit_point(EditPoint point) {
  if (edit_points_.size() == kEditPointsMax) {
    return refuse(ErrorCode::kInvalidField, "The same key stands too often in the body.",
                  rows_[root_row_ < rows_.size() ? root_row_ : 0].key.data());
  }
  edit_points_.push_back(point);
}

void FactsReader::refuse(ErrorCode code, std::string detail, std::string param) {
  error_ = Error{code, std::move(detail), std::move(param)};
}

void FactsReader::wrong_type(const Token& token, std::string_view field, std::string_view wanted) {
  refuse(ErrorCode::kInvalidField,
         std::string(field) + " must be " + std::string(wanted) + ", but is " +
             std::string(kind_text(token.kind)) + " at byte " + std::to_string(token.begin) + ".",
         std::string(field));
}

}  // namespace infermesh::openai
