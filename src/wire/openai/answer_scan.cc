#include "wire/openai/answer_scan.h"

#include "base/text.h"
#include "wire/json/key_table.h"
#include "wire/json/scanner_run.h"
#include "wire/json/text.h"

namespace infermesh::openai {

using json::Token;
using json::TokenKind;
using Node = AnswerScan::Node;

namespace {

struct Row {
  std::string_view key;
  Node node;
};

constexpr Row kRootRows[]{
    {"choices", Node::kChoices},    {"usage", Node::kUsage},     {"error", Node::kError},
    {"model", Node::kModel},        {"type", Node::kType},       {"object", Node::kObject},
    {"delta", Node::kDelta},        {"message", Node::kMessage}, {"timings", Node::kTimings},
    {"stop_reason", Node::kFinish},
};
constexpr Row kResponsesRootRows[]{
    {"type", Node::kType},     {"sequence_number", Node::kSequence},
    {"delta", Node::kDelta},   {"response", Node::kResponse},
    {"id", Node::kId},         {"error", Node::kError},
    {"usage", Node::kUsage},   {"model", Node::kModel},
    {"object", Node::kObject}, {"timings", Node::kTimings},
};
constexpr Row kOllamaRootRows[]{
    {"model", Node::kModel},
    {"message", Node::kOllamaMessage},
    {"response", Node::kContent},
    {"thinking", Node::kContent},
    {"done", Node::kDone},
    {"done_reason", Node::kFinish},
    {"prompt_eval_count", Node::kPromptTokens},
    {"eval_count", Node::kCompletionTokens},
    {"error", Node::kError},
};
constexpr Row kOllamaMessageRows[]{
    {"content", Node::kContent}, {"thinking", Node::kContent}, {"tool_calls", Node::kContentList}};
constexpr Row kResponseRows[]{{"id", Node::kId}, {"usage", Node::kUsage}, {"model", Node::kModel}};
constexpr Row kMessageRows[]{{"usage", Node::kUsage}, {"model", Node::kModel}};
constexpr Row kChoiceRows[]{
    {"delta", Node::kChoiceDelta}, {"finish_reason", Node::kFinish}, {"text", Node::kContent}};
constexpr Row kChoiceDeltaRows[]{
    {"content", Node::kContent},        {"reasoning_content", Node::kContent},
    {"reasoning", Node::kContent},      {"refusal", Node::kContent},
    {"tool_calls", Node::kContentList}, {"function_call", Node::kContentList}};
constexpr Row kDeltaRows[]{{"stop_reason", Node::kFinish},
                           {"text", Node::kContent},
                           {"thinking", Node::kContent},
                           {"partial_json", Node::kContent}};
constexpr Row kUsageRows[]{{"prompt_tokens", Node::kPromptTokens},
                           {"completion_tokens", Node::kCompletionTokens},
                           {"input_tokens", Node::kInputTokens},
                           {"output_tokens", Node::kCompletionTokens},
                           {"cache_read_input_tokens", Node::kCacheReadTokens},
                           {"cache_creation_input_tokens", Node::kCacheWriteTokens},
                           {"prompt_tokens_details", Node::kPromptDetails},
                           {"input_tokens_details", Node::kPromptDetails},
                           {"completion_tokens_details", Node::kOutputDetails},
                           {"output_tokens_details", Node::kOutputDetails},
                           {"reasoning_tokens", Node::kReasoningTokens}};
constexpr Row kPromptDetailsRows[]{{"cached_tokens", Node::kCachedTokens},
                                   {"created_cache_tokens", Node::kCacheWriteTokens},
                                   {"cache_write_tokens", Node::kCacheWriteTokens}};
constexpr Row kOutputDetailsRows[]{{"reasoning_tokens", Node::kReasoningTokens}};
constexpr Row kTimingsRows[]{{"cache_n", Node::kTimingsCached},
                             {"prompt_n", Node::kTimingsPrompt},
                             {"predicted_n", Node::kTimingsOutput}};

constexpr std::span<const Row> rows_of(Node node) {
  switch (node) {
    case Node::kRoot:
      return kRootRows;
    case Node::kResponsesRoot:
      return kResponsesRootRows;
    case Node::kOllamaRoot:
      return kOllamaRootRows;
    case Node::kOllamaMessage:
      return kOllamaMessageRows;
    case Node::kResponse:
      return kResponseRows;
    case Node::kMessage:
      return kMessageRows;
    case Node::kChoice:
      return kChoiceRows;
    case Node::kChoiceDelta:
      return kChoiceDeltaRows;
    case Node::kDelta:
      return kDeltaRows;
    case Node::kUsage:
      return kUsageRows;
    case Node::kPromptDetails:
      return kPromptDetailsRows;
    case Node::kOutputDetails:
      return kOutputDetailsRows;
    case Node::kTimings:
      return kTimingsRows;
    default:
      return {};
  }
}

constexpr auto kNodes = static_cast<std::size_t>(Node::kTimingsOutput) + 1;

constexpr std::size_t kRowsTotal = [] {
  std::size_t total = 0;
  for (std::size_t i = 0; i < kNodes; ++i) total += rows_of(static_cast<Node>(i)).size();
  return total;
}();

constexpr json::KeyTable kKeys([] {
  std::array<json::KeyRow, kRowsTotal> all{};
  std::size_t count = 0;
  for (std::size_t i = 0; i < kNodes; ++i) {
    for (const Row& row : rows_of(static_cast<Node>(i))) {
      all[count++] = {static_cast<std::uint8_t>(i), static_cast<std::uint8_t>(row.node), row.key};
    }
  }
  return all;
}());

Node child(Node node, std::string_view key) {
  return static_cast<Node>(kKeys.find(static_cast<std::uint8_t>(node), key)
                               .value_or(static_cast<std::uint8_t>(Node::kSkip)));
}

constexpr std::array<bool, kNodes> kHasRows = [] {
  std::array<bool, kNodes> has{};
  for (std::size_t i = 0; i < kNodes; ++i) has[i] = !rows_of(static_cast<Node>(i)).empty();
  return has;
}();

// Whether a container with this node is looked into.
bool is_entered(Node node, TokenKind kind) {
  if (kind == TokenKind::kBeginArray) return node == Node::kChoices || node == Node::kContentList;
  return kHasRows[static_cast<std::size_t>(node)];
}

Node root_of(Api api) {
  if (is_ollama(api)) return Node::kOllamaRoot;
  return api == Api::kResponses || api == Api::kStoredResponse ? Node::kResponsesRoot : Node::kRoot;
}

bool is_number(Node node) {
  return node >= Node::kPromptTokens;
}
std::size_t number_index(Node node) {
  return static_cast<std::size_t>(node) - static_cast<std::size_t>(Node::kPromptTokens);
}

}  // namespace

void AnswerScan::begin() {
  scanner_ = {};
  subtree_ = kNoSubtree;
  node_ = Node::kSkip;
  type_.clear();
  finish_reason_.clear();
  id_.clear();
  sequence_.reset();
  models_.clear();
  choices_ = 0;
  content_strings_ = 0;
  content_ = {};
  is_object_ = has_choices_ = has_usage_ = has_error_ = has_content_ = is_done_ = false;
}

struct AnswerScan::Sink {
  AnswerScan& scan;

  template <TokenKind kind>
  bool take(const Token& token) {
    constexpr bool kEnds = kind == TokenKind::kEndObject || kind == TokenKind::kEndArray;
    if (scan.subtree_ != kNoSubtree) {
      if (kEnds && token.depth == scan.subtree_) scan.subtree_ = kNoSubtree;
      return true;
    }
    if constexpr (kEnds) return true;
    if constexpr (kind == TokenKind::kKey) {
      if (token.plain) {
        scan.key_node_ = child(scan.nodes_[token.depth], token.text);
      } else {
        scan.key_piece(token);
      }
      return true;
    }
    if (token.first) scan.begin_value(token);
    if constexpr (kind == TokenKind::kBeginObject || kind == TokenKind::kBeginArray) {
      scan.begin_container(token);
    }
    if (scan.node_ == Node::kSkip) return true;
    if constexpr (kind == TokenKind::kString) scan.string_piece(token);
    if constexpr (kind == TokenKind::kNumber) scan.number_piece(token);
    return true;
  }
};

bool AnswerScan::feed(std::string_view bytes) {
  scanner_.feed(bytes);
  Sink sink{*this};
  return scanner_.run(sink) == TokenKind::kMore;
}

void AnswerScan::key_piece(const Token& token) {
  if (token.first) key_.clear();
  if (key_.size() < 6 * kTextMax) key_.append(token.text.substr(0, 6 * kTextMax));
  if (token.last) key_node_ = child(nodes_[token.depth], json::unescape(key_));
}

void AnswerScan::begin_value(const Token& token) {
  value_begin_ = token.begin;
  if (token.depth == 0) {
    is_object_ = token.kind == TokenKind::kBeginObject;
    node_ = is_object_ ? root_of(api_) : Node::kSkip;
    return;
  }
  // Elements of the two lists that are looked into.
  const Node container = nodes_[token.depth];
  node_ = key_node_;
  if (container == Node::kChoices) {
    node_ = Node::kChoice;
    ++choices_;
  }
  if (container == Node::kContentList) {
    node_ = Node::kSkip;
    has_content_ = true;
  }
  if (node_ == Node::kError && token.kind != TokenKind::kNull && token.kind != TokenKind::kFalse) {
    has_error_ = true;
  }
  if (node_ == Node::kDone) is_done_ = token.kind == TokenKind::kTrue;
}

void AnswerScan::begin_container(const Token& token) {
  const bool object = token.kind == TokenKind::kBeginObject;
  if (node_ == Node::kChoices && !object) has_choices_ = true;
  if (node_ == Node::kUsage && object) has_usage_ = true;
  if (node_ == Node::kContentList && object) has_content_ = true;
  if (token.depth + 1U >= kDepthMax || !is_entered(node_, token.kind)) {
    subtree_ = token.depth;
    return;
  }
  nodes_[token.depth + 1U] = node_;
  key_node_ = Node::kSkip;
}

void AnswerScan::string_piece(const Token& token) {
  switch (node_) {
    case Node::kContent:
    case Node::kDelta:  // responses: the delta is the text itself
      has_content_ = has_content_ || !token.text.empty();
      ++content_strings_;
      content_ = token.plain ? Span{token.begin + 1, token.end - 1} : Span{};
      return;
    case Node::kType:
    case Node::kObject:
    case Node::kFinish:
      if (token.first) text_.clear();
      text_.append(token.text.substr(0, kTextMax - text_.size()));
      if (!token.last) return;
      if (node_ == Node::kType) type_ = text_;
      if (node_ == Node::kFinish) finish_reason_ = text_;
      if (node_ == Node::kObject && text_ == "error") has_error_ = true;
      return;
    case Node::kId:
      if (token.first) id_.clear();
      id_.append(token.text.substr(0, kResponseIdMax + 1 - id_.size()));
      if (token.last && (id_.size() > kResponseIdMax || id_.contains('\\'))) id_.clear();
      return;
    case Node::kModel:
      if (token.last && models_.size() < kAnswerModelsMax &&
          token.end - value_begin_ <= kModelMax) {
        models_.push_back({EditPoint::Kind::kModel, false, value_begin_, token.end});
      }
      return;
    default:
      return;
  }
}

void AnswerScan::number_piece(const Token& token) {
  if (!is_number(node_) && node_ != Node::kSequence) return;
  if (token.first) text_.clear();
  if (text_.size() < kTextMax) text_.append(token.text.substr(0, kTextMax));
  if (!token.last) return;
  const auto value = parse_u64(text_);
  if (!value || *value > (std::uint64_t{1} << 53)) return;
  if (node_ == Node::kSequence) {
    sequence_ = static_cast<std::int64_t>(*value);
  } else {
    numbers_[number_index(node_)] = static_cast<std::int64_t>(*value);
  }
}

std::uint64_t AnswerScan::settled_offset() const {
  const bool in_model = node_ == Node::kModel && subtree_ == kNoSubtree &&
                        scanner_.in_string_value() && models_.size() < kAnswerModelsMax &&
                        scanner_.offset() - value_begin_ <= kModelMax;
  return in_model ? value_begin_ : scanner_.settled_offset();
}

std::optional<Tokens> AnswerScan::number(Node node) const {
  const auto& value = numbers_[number_index(node)];
  return value ? std::optional(Tokens(*value)) : std::nullopt;
}

Usage AnswerScan::usage() const {
  const auto or_zero = [](const std::optional<Tokens>& tokens) {
    return tokens.value_or(Tokens(0));
  };
  Usage usage;
  usage.output = number(Node::kCompletionTokens);
  usage.reasoning = number(Node::kReasoningTokens);
  usage.cache_written = number(Node::kCacheWriteTokens);
  usage.cached = number(Node::kCachedTokens);
  if (!usage.cached) usage.cached = number(Node::kCacheReadTokens);
  usage.prompt = number(Node::kPromptTokens);
  if (const auto input = number(Node::kInputTokens); input && !usage.prompt) {
    // Anthropic counts the cached parts apart.
    usage.prompt = api_ == Api::kMessages
                       ? *input + or_zero(usage.cached) + or_zero(usage.cache_written)
                       : *input;
  }
  const auto processed = number(Node::kTimingsPrompt);
  if (!usage.cached) usage.cached = number(Node::kTimingsCached);
  if (!usage.output) usage.output = number(Node::kTimingsOutput);
  if (!usage.prompt && processed) {
    usage.prompt = *processed + or_zero(number(Node::kTimingsCached));
  }
  return usage;
}

}  // namespace infermesh::openai
