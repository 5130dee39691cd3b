#include "wire/kserve/infer_reader.h"

#include <algorithm>

#include "wire/openai/facts_options.h"

namespace infermesh::kserve {

using json::Token;
using json::TokenKind;

InferReader::InferReader(Api api, InferOptions options)
    : api_(api),
      options_(std::move(options)),
      json_left_(std::min(options_.json_bytes.value_or(kHeaderBytesMax), kHeaderBytesMax)) {}

Result<void> InferReader::feed(std::string_view bytes) {
  offset_ += bytes.size();
  if (json_left_ == 0) return {};
  const std::string_view json = bytes.substr(0, json_left_);
  json_left_ -= json.size();
  scanner_.feed(json);
  for (Token token = scanner_.next(); token.kind != TokenKind::kMore; token = scanner_.next()) {
    if (token.kind == TokenKind::kError ||
        (token.kind == TokenKind::kEndObject && token.depth == 0)) {
      json_left_ = 0;
      break;
    }
    take(token);
  }
  return {};
}

// Depth 1 is inside of the root, depth 2 inside of `parameters`.
void InferReader::take(const Token& token) {
  const bool root = token.depth == 1;
  const bool parameter = token.depth == 2 && in_parameters_;
  if (token.kind == TokenKind::kKey && (root || parameter)) {
    if (token.first) key_.clear();
    key_.append(token.text.substr(0, kIdBytesMax - key_.size()));
    return;
  }
  if (root && token.kind == TokenKind::kBeginObject) in_parameters_ = key_ == "parameters";
  if (root && token.kind == TokenKind::kEndObject) in_parameters_ = false;
  if (token.kind != TokenKind::kString && token.kind != TokenKind::kNumber) return;
  if (token.first) {
    wanted_ = nullptr;
    if (root && key_ == "id" && token.kind == TokenKind::kString) wanted_ = &id_;
    if (parameter && key_ == kSequenceKey) wanted_ = &sequence_;
    value_.clear();
  }
  if (wanted_ == nullptr) return;
  value_.append(token.text.substr(0, kIdBytesMax + 1 - value_.size()));
  if (!token.last) return;
  *wanted_ = value_.size() > kIdBytesMax ? std::string() : value_;
}

Result<void> InferReader::finish() {
  complete_ = true;
  return {};
}

RequestFacts InferReader::facts() const {
  RequestFacts facts;
  facts.api = api_;
  facts.model = options_.model;
  facts.stream = options_.stream;
  facts.complete = complete_;
  facts.body_bytes = Bytes(static_cast<std::int64_t>(offset_));
  return facts;
}

std::uint64_t InferReader::body_session(std::string_view key) const {
  if (key != kSequenceKey || sequence_.empty() || sequence_ == "0") return 0;
  return openai::session_key(sequence_);
}

}  // namespace infermesh::kserve
