// Usage: the token counts of an answer, normalised. OpenAI counts the cached part in the prompt,
// Anthropic apart from it; here `prompt` is the whole prompt and `output` includes reasoning.
// Absent is unknown, never zero.
#pragma once

#include <optional>

#include "base/ids.h"

namespace infermesh::openai {

struct Usage {
  std::optional<Tokens> prompt;
  std::optional<Tokens> cached;         // of the prompt: read from the engine's cache
  std::optional<Tokens> cache_written;  // of the prompt: put into it
  std::optional<Tokens> output;
  std::optional<Tokens> reasoning;  // of the output
  bool known() const { return prompt.has_value() || output.has_value(); }
  bool operator==(const Usage&) const = default;
};

}  // namespace infermesh::openai
