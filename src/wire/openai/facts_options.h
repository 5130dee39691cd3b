// What a FactsReader is to read, and its bounds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/model/request_facts.h"

namespace infermesh::openai {

enum class HashPrompt : std::uint8_t { kNo, kYes };

struct FactsOptions {
  std::uint32_t block_bytes = 256;
  std::vector<std::string> session_body_keys;  // top-level strings that may be the session key
  HashPrompt hash_prompt = HashPrompt::kYes;
  std::size_t prompt_blocks_max = kPromptBlocksMax;
  std::string model = {};  // where the route names it: the body's own is not looked at
  bool stream = false;     // the route is that of a stream
};

constexpr std::size_t kModelBytesMax = 4096;  // of its raw text; longer is kInvalidField
constexpr std::size_t kEditPointsMax = 64;    // more duplicate keys than that are kInvalidField

// The session key of RequestFacts for a header's or body field's value; never 0.
std::uint64_t session_key(std::string_view value);

}  // namespace infermesh::openai
