// AnswerScan: what is read of an engine's answer, one JSON document at a time: a whole body
// (ResponseReader) or the data of one stream event (StreamInspector). Usage numbers are kept from
// document to document, the rest is of the current one. Reads the usage of OpenAI chat,
// completions, embeddings and Responses, Anthropic's, Ollama's, and llama.cpp's `timings`. Internal
// to wire/openai. The table of what is looked at is in the source.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/api.h"
#include "wire/json/scanner.h"
#include "wire/openai/answer_node.h"
#include "wire/openai/splice.h"
#include "wire/openai/usage.h"

namespace infermesh::openai {

constexpr std::size_t kResponseIdMax = 128;  // bytes of a Responses id; a longer one is not kept
constexpr std::size_t kAnswerModelsMax =
    8;  // `model` values noted of one document; later ones stay as they are

class AnswerScan {
 public:
  using Node = AnswerNode;

  explicit AnswerScan(Api api) : api_(api) {}

  void begin();  // the next document
  // false: not JSON.
  bool feed(std::string_view bytes);
  bool finish() { return scanner_.finish(); }

  bool done() const { return scanner_.done(); }
  bool is_object() const { return is_object_; }
  bool has_error() const { return has_error_; }
  bool has_usage() const { return has_usage_; }
  bool has_empty_choices() const { return has_choices_ && choices_ == 0; }
  bool has_content() const { return has_content_; }
  // Offsets of the text of the one string with content, when it was plain and not empty; else
  // empty.
  struct Span {
    std::uint64_t begin = 0, end = 0;
    bool empty() const { return begin == end; }
  };
  Span only_content() const { return content_strings_ == 1 ? content_ : Span{}; }
  bool is_done() const { return is_done_; }  // Ollama: "done": true
  std::string_view type() const { return type_; }
  std::string_view finish_reason() const { return finish_reason_; }  // the last one, empty: none
  std::string_view response_id() const { return id_; }               // Responses; empty: not told
  std::optional<std::int64_t> sequence_number() const { return sequence_; }
  Usage usage() const;
  std::span<const EditPoint> models() const { return models_; }
  std::uint64_t settled_offset() const;

 private:
  static constexpr std::uint32_t kNoSubtree = ~0U;
  static constexpr std::size_t kDepthMax = 8;
  static constexpr std::size_t kNumbers = 10;
  static constexpr std::size_t kTextMax = 64;  // of types and finish reasons
  static constexpr std::uint64_t kModelMax = 4096;

  struct Sink;  // takes the scanner's tokens

  void key_piece(const json::Token& token);
  void begin_value(const json::Token& token);
  void begin_container(const json::Token& token);
  void string_piece(const json::Token& token);
  void number_piece(const json::Token& token);
  std::optional<Tokens> number(Node node) const;

  Api api_;
  json::Scanner scanner_;
  std::array<Node, kDepthMax> nodes_{};  // by depth: what the members' container is
  std::uint32_t subtree_ = kNoSubtree;   // depth of the container that is passed over
  Node key_node_ = Node::kSkip;
  Node node_ = Node::kSkip;  // of the value being read
  std::string key_;
  std::string text_;
  std::uint64_t value_begin_ = 0;
  std::array<std::optional<std::int64_t>, kNumbers> numbers_{};
  std::string type_;
  std::string finish_reason_;
  std::string id_;
  std::optional<std::int64_t> sequence_;
  std::vector<EditPoint> models_;
  std::uint32_t choices_ = 0;
  std::uint32_t content_strings_ = 0;
  Span content_;
  bool is_object_ = false;
  bool has_choices_ = false;
  bool has_usage_ = false;
  bool has_error_ = false;
  bool has_content_ = false;
  bool is_done_ = false;
};

}  // namespace infermesh::openai
