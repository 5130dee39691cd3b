// The simulated engine's text: how bytes become tokens and KV block hashes, and what it answers. A
// token is four bytes (of text, or of a token id), so the router's own estimate is right and equal
// prefixes are found wherever they are cut at a multiple of 16 tokens. Answers are drawn from the
// prompt's hash: equal prompts get equal answers. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "core/model/request_facts.h"

namespace infermesh::lab {

constexpr std::size_t kTokenBytes = 4;

// Collects the chained hashes of full 16-token blocks over bytes that come in pieces. The salt
// keeps the prefixes of different models and tenants apart.
class BlockChain {
 public:
  explicit BlockChain(std::uint64_t salt) : hash_(salt) {}

  void add(std::string_view bytes);
  void add_token(std::uint32_t token);

  std::uint64_t bytes() const { return bytes_; }
  Tokens tokens() const;       // the started one included, at least 1
  std::uint64_t hash() const;  // of everything so far, never 0
  const std::vector<BlockHash>& blocks() const { return blocks_; }
  std::vector<BlockHash> take_blocks() { return std::move(blocks_); }

 private:
  static constexpr std::size_t kBlockBytes = 16 * kTokenBytes;
  void close_block(const char* block);

  std::array<char, kBlockBytes> partial_{};
  std::size_t partial_size_ = 0;
  std::uint64_t hash_;
  std::uint64_t bytes_ = 0;
  std::vector<BlockHash> blocks_;
};

// Output token `index` of the answer to a prompt with this hash: four bytes, safe inside a JSON
// string.
std::string_view output_token(std::uint64_t prompt_hash, std::uint64_t index);
// How long the model would talk if nothing stopped it: exponential around the mean, from 1 to 16
// times the mean.
std::uint64_t natural_length(std::uint64_t prompt_hash, std::uint64_t mean);
// Component `index` of the embedding of a text with this hash, in [-1, 1).
double embedding_value(std::uint64_t text_hash, std::uint64_t index);
// A number in [0, 1) for rerankers and classifiers.
double score_of(std::uint64_t text_hash);

std::uint64_t hash_text(std::string_view text, std::uint64_t seed = 0);

}  // namespace infermesh::lab
