// What one router says to another that takes over from it. What was understood is written within
// the bound, and understood the same again.
#include "fuzz_cuts.h"
#include "wire/handover/word.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace infermesh;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto word = handover::parse(text);
  if (!word) return 0;
  const std::string written = handover::write(*word);
  IM_ASSERT(written.size() <= handover::kWordBytesMax);
  const auto again = handover::parse(written);
  IM_ASSERT(again && again->say == word->say && again->protocol == word->protocol);
  IM_ASSERT(again->pid == word->pid && again->models.size() <= word->models.size());
  IM_ASSERT(handover::write(*again) == written);
  return 0;
}
