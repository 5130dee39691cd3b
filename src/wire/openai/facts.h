// FactsReader: what routing needs of a request body, read in one pass while the body arrives. Order
// of the fields does not matter, of a key given twice the last counts (as in the engines' parsers),
// nothing of the body is kept but the model name. The body itself is relayed as it is by whoever
// reads it; fields unknown here are not looked at, steering fields of an engine
// (kv_transfer_params, priority, ...) are not touched either.
//
// The prompt's text is hashed in document order: roles, contents, parts; tools and tool calls as
// raw JSON; media by a hash of the raw value. Text is taken as written, still escaped: the same
// client escapes the same way each time. cache_salt, chat_template_kwargs and reasoning_effort are
// a salt when they come before the text. A prompt field given twice starts the hashes anew.
//
// Owned by one exchange. Fails with kInvalidJson (not one JSON object; the detail names the byte)
// or kInvalidField (`param` says which). A missing model is no failure: facts().model is empty.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/model/request_facts.h"
#include "wire/json/scanner.h"
#include "wire/openai/body_reader.h"
#include "wire/openai/facts_options.h"
#include "wire/openai/facts_table.h"
#include "wire/openai/prompt_text.h"

namespace infermesh::openai {

class FactsReader final : public BodyReader {
 public:
  FactsReader(Api api, FactsOptions options);

  Result<void> feed(std::string_view bytes) override;
  Result<void> finish() override;

  Api api() const { return facts_.api; }
  RequestFacts facts() const override;
  std::string_view model() const override { return facts_.model; }
  bool model_known() const override { return models_ > 0; }
  bool model_conflict() const override { return model_conflict_; }
  bool stream_known() const { return stream_known_ || complete(); }
  bool continuous_usage() const { return continuous_usage_; }
  // The session key that one of session_body_keys names; 0 while it has not been read.
  std::uint64_t body_session(std::string_view key) const override;
  std::uint64_t prompt_bytes() const { return prompt_.bytes(); }
  bool ready_to_route(std::uint64_t prompt_bytes_wanted) const override;
  std::string_view previous_response() const override { return previous_response_; }
  std::string_view stored_state_field() const override { return stored_field_; }

  bool complete() const override { return facts_.complete; }
  bool usage_wanted() const override { return facts_.usage_wanted; }
  bool stream() const override { return facts_.stream; }
  std::uint64_t offset() const override { return scanner_.offset(); }
  std::uint64_t settled_offset() const override;
  std::span<const EditPoint> edit_points() const override { return edit_points_; }

 private:
  static constexpr std::size_t kContexts = 16;  // deeper containers are passed over
  static constexpr std::uint32_t kNoSubtree = ~0U;

  struct Sink;  // takes the scanner's tokens
  void key_piece(const json::Token& token);
  void key_read(const json::Token& token, std::string_view key);
  void root_key(std::string_view key);
  void begin_value(const json::Token& token);
  void begin_container(const json::Token& token);
  void enter(const json::Token& token, Context context);
  void end_container(const json::Token& token);
  void end_options(const json::Token& token);
  bool is_session_value() const { return session_index_ < options_.session_body_keys.size(); }
  void string_piece(const json::Token& token);
  void collected(const json::Token& token);
  void model_read(const json::Token& token);
  void number_piece(const json::Token& token);
  void number_read();
  void literal(const json::Token& token);
  void value_end(const json::Token& token);
  void add_edit_point(EditPoint point);
  void refuse(ErrorCode code, std::string detail, std::string param);
  void wrong_type(const json::Token& token, std::string_view field, std::string_view wanted);
  PromptCounter sum() const;

  FactsOptions options_;
  std::span<const FieldRow> rows_;
  json::Scanner scanner_;
  PromptText prompt_;
  RequestFacts facts_;
  std::optional<Error> error_;

  std::array<Context, kContexts> contexts_{};  // by depth
  std::uint32_t subtree_ = kNoSubtree;         // depth of the container that is passed over
  std::string key_;
  std::string collected_;  // raw text of a short value that is wanted
  Act key_act_ = Act::kSkip;
  Act act_ = Act::kSkip;  // of the value being read
  std::uint64_t value_begin_ = 0;
  std::size_t root_row_ = kRootFieldsMax;
  std::uint32_t rows_seen_ = 0;          // bit per row
  std::size_t session_index_ = 0;        // of the value being read, in session_body_keys
  std::vector<std::uint64_t> sessions_;  // by that index
  bool prompt_read_ = false;

  std::uint32_t models_ = 0;
  bool model_conflict_ = false;
  bool stream_known_ = false;
  bool continuous_usage_ = false;
  bool options_seen_ = false;
  bool options_name_usage_ = false;
  bool options_have_members_ = false;
  bool root_has_members_ = false;
  std::int64_t n_ = 1;
  std::int64_t best_of_ = 1;
  std::optional<Tokens> cap_;
  std::optional<Tokens> cap_fallback_;
  std::string previous_response_;
  std::string_view stored_field_;
  std::vector<EditPoint> edit_points_;
};

}  // namespace infermesh::openai
