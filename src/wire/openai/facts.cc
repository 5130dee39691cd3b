#include "wire/openai/facts.h"

#include <algorithm>

#include "core/prefix/block_hash.h"
#include "wire/json/scanner_run.h"
#include "wire/json/text.h"

namespace infermesh::openai {

using json::Token;
using json::TokenKind;

namespace {

constexpr std::size_t kEditPointsUsual = 4;
constexpr std::size_t kKeyRawMax = 6 * kKeyBytesMax + 6;  // every byte may be escaped

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
  const std::uint64_t hash = prefix::hash_block(value, 0);
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

struct FactsReader::Sink {
  FactsReader& reader;

  template <TokenKind kind>
  bool take(const Token& token) {
    using enum TokenKind;
    constexpr bool kEnds = kind == kEndObject || kind == kEndArray;
    if (reader.subtree_ != kNoSubtree) {
      if (!kEnds || token.depth != reader.subtree_) return true;
      reader.subtree_ = kNoSubtree;
      reader.value_end(token);
      return !reader.error_;
    }
    if constexpr (kind == kKey) {
      reader.key_piece(token);
    } else if constexpr (kEnds) {
      reader.end_container(token);
    } else {
      if (token.first) reader.begin_value(token);
      if constexpr (kind == kBeginObject || kind == kBeginArray) {
        reader.begin_container(token);
      } else if constexpr (kind == kString) {
        reader.string_piece(token);
      } else if constexpr (kind == kNumber) {
        reader.number_piece(token);
      } else {
        reader.literal(token);
      }
    }
    return !reader.error_;
  }
};

Result<void> FactsReader::feed(std::string_view bytes) {
  if (error_) return std::unexpected(*error_);
  prompt_.set_input(bytes, scanner_.offset());
  scanner_.feed(bytes);
  Sink sink{*this};
  if (scanner_.run(sink) == TokenKind::kError) {
    refuse(ErrorCode::kInvalidJson, "The body is not valid JSON: " + scanner_.error_text() + ".",
           {});
  }
  if (error_) return std::unexpected(*error_);
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

void FactsReader::key_piece(const Token& token) {
  if (token.plain) return key_read(token, token.text);
  if (token.first) key_.clear();
  key_.append(token.text.substr(0, kKeyRawMax - key_.size()));
  if (!token.last) return;
  if (key_.contains('\\')) key_ = json::unescape(key_);
  key_read(token, key_);
}

void FactsReader::key_read(const Token& token, std::string_view key) {
  if (token.depth == 1) return root_key(key);
  const Context context = contexts_[token.depth];
  key_act_ = member_act(context, key);
  if (context != Context::kOptions) return;
  options_have_members_ = true;
  options_name_usage_ = options_name_usage_ || key_act_ == Act::kIncludeUsage;
}

void FactsReader::root_key(std::string_view key) {
  root_has_members_ = true;
  root_row_ = root_row(facts_.api, key);
  key_act_ = Act::kSkip;
  const auto& keys = options_.session_body_keys;
  session_index_ = static_cast<std::size_t>(std::ranges::find(keys, key) - keys.begin());
  if (root_row_ == kRootFieldsMax) return;
  key_act_ = rows_[root_row_].act;
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
  if (edit_points_.empty()) edit_points_.reserve(kEditPointsUsual);
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
