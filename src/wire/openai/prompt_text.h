// PromptText: the prompt of a request body as FactsReader comes upon it: block hashes of its text
// in document order and counts for the load estimate, per top-level field. Internal to wire/openai.
// Keeps no text but one unfinished block.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "core/prefix/block_hasher.h"
#include "wire/openai/facts_table.h"

namespace infermesh::openai {

constexpr std::int64_t kMediaTokens = 576;  // estimate for one image, audio or file

enum class Capture : std::uint8_t {
  kNone,
  kRaw,     // the bytes are prompt text
  kTokens,  // the same, but their numbers are counted one by one
  kDigest,  // their hash stands for them
  kSalt,    // their hash keeps prompts apart
};

struct PromptCounter {
  std::int64_t bytes = 0;   // of text
  std::int64_t tokens = 0;  // given as numbers, or estimated for media
  std::int64_t texts = 0;   // length of the list, 1 for a single text
};

class PromptText {
 public:
  // blocks_max 0: nothing is hashed.
  PromptText(std::uint32_t block_bytes, std::size_t blocks_max);

  // The bytes being read and their absolute offset; captures refer to them.
  void set_input(std::string_view bytes, std::uint64_t offset);
  void end_input() { flush(offset_ + input_.size()); }

  void begin_field(std::size_t row) { row_ = row; }
  // The field is given again: what it said before does not count.
  void restart_field(std::size_t row);

  void begin_text() { separator_due_ = true; }
  void add_text(std::string_view text);
  // A text that is left out when it begins with the billing header, which changes with every call.
  void begin_billing_text();
  void add_billing_text(std::string_view text);
  void end_billing_text();

  void count_text() { ++counter().texts; }
  void count_token() { ++counter().tokens; }

  void begin_capture(Capture capture, std::uint64_t from);
  void end_capture(std::uint64_t until);
  void add_salt(std::uint64_t value);  // keeps prompts apart
  bool capturing() const { return capture_ != Capture::kNone; }

  std::uint64_t bytes() const { return bytes_; }  // of text since the beginning
  bool hashed_enough() const { return !hashing_ || hasher_.full(); }
  std::span<const BlockHash> blocks() const { return hasher_.blocks(); }
  const PromptCounter& counter(std::size_t row) const { return counters_[row]; }

 private:
  PromptCounter& counter() { return counters_[row_]; }
  void flush(std::uint64_t until);
  void hash(std::string_view text);

  prefix::BlockHasher hasher_;
  prefix::BlockHasher digest_;
  std::array<PromptCounter, kRootFieldsMax + 1> counters_{};  // the last for fields without a row
  std::size_t row_ = kRootFieldsMax;
  std::string_view input_;
  std::uint64_t offset_ = 0;
  Capture capture_ = Capture::kNone;
  std::uint64_t capture_from_ = 0;
  std::uint64_t salt_ = 0;
  std::uint64_t bytes_ = 0;
  std::size_t billing_matched_ = 0;
  bool billing_decided_ = false;
  bool hashing_;
  bool begun_ = false;
  bool separator_due_ = false;
};

}  // namespace infermesh::openai
