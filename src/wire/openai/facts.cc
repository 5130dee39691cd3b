#include "wire/openai/facts.h"

#include <xxhash.h>

#include <algorithm>

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
  facts_.model = options_.model;
  facts_.stream = options_.stream || streams_unasked(api);
  models_ = options_.model.empty() ? 0 : 1;
  session_index_ = options_.session_body_keys.size();
  sessions_.resize(options_.session_body_keys.size());
}

std::uint64_t FactsReader::body_session(std::string_view key) const {
  const auto& keys = options_.session_body_keys;
  const auto at = std::ranges::find(keys, key);
  return at == keys.end() ? 0 : sessions_[static_cast<std::size_t>(at - keys.begin())];
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
  if (facts_.api == Api::kStoredResponse && scanner_.offset() == 0) {
    facts_.complete = true;  // it needs no body
    return {};
  }
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
  const auto& keys = options_.session_body_keys;
  session_index_ = static_cast<std::size_t>(std::ranges::find(keys, key_) - keys.begin());
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
  if (act_ == Act::kPrevious) previous_response_.clear();
  if (act_ == Act::kPrevious && token.kind != TokenKind::kString &&
      token.kind != TokenKind::kNull) {
    wrong_type(token, "previous_response_id", "a string");
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
    case Act::kEngineOptions:
      if (!array) return enter(token, Context::kEngineOptions);
      break;
    case Act::kMedia:
      if (array) return enter(token, Context::kMediaList);
      break;
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

bool FactsReader::ready_to_route(std::uint64_t prompt_bytes_wanted) const {
  if (error_ || (models_ == 0 && !complete())) return false;
  return complete() || prompt_read_ || prompt_.hashed_enough() ||
         prompt_.bytes() >= prompt_bytes_wanted;
}

std::uint64_t FactsReader::settled_offset() const {
  const bool in_model = act_ == Act::kModel && !complete() && scanner_.in_string_value();
  return in_model ? value_begin_ : scanner_.settled_offset();
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
