// Request bodies. Cut anywhere they give the same facts; relayed behind the reader they stay the
// same byte for byte without a plan; with one they stay JSON, have the length foretold, and carry
// the new model.
#include <string>
#include <vector>

#include "fuzz_cuts.h"
#include "wire/openai/facts.h"

namespace {

using namespace infermesh;
using openai::BodySplicer;
using openai::FactsReader;
using openai::SplicePlan;

openai::FactsOptions options() {
  return {.block_bytes = 8, .session_body_keys = {"user"}};
}

void must_agree(const RequestFacts& a, const RequestFacts& b) {
  IM_ASSERT(a.model == b.model && a.stream == b.stream && a.usage_wanted == b.usage_wanted);
  IM_ASSERT(a.complete == b.complete && a.choices == b.choices && a.choices > 0);
  IM_ASSERT(a.output_tokens_max == b.output_tokens_max && a.prompt_tokens == b.prompt_tokens);
  IM_ASSERT(a.body_bytes == b.body_bytes && a.blocks == b.blocks);
  IM_ASSERT(a.session_key == b.session_key && a.priority == b.priority);
  IM_ASSERT(a.prompt_tokens.value >= 0);
}

// Reads in pieces and relays each piece at once.
std::string relay(FactsReader& reader, const fuzz::Input& input, const SplicePlan& plan, bool& ok) {
  BodySplicer splicer(reader, plan);
  std::string sent;
  ok = true;
  fuzz::for_each_piece(input, [&](std::string_view bytes) {
    if (!ok) return;
    const fuzz::Exact piece(bytes);
    ok = reader.feed(piece.view()).has_value();
    if (!ok) return;
    std::vector<std::string_view> out;
    splicer.push(piece.view(), out);
    for (const auto view : out) sent += view;
  });
  ok = ok && reader.finish().has_value();
  return sent;
}

void must_be_spliced(Api api, std::string_view body, bool has_model) {
  FactsReader reader(api, options());
  const bool ok = reader.feed(body).has_value() && reader.finish().has_value();
  IM_ASSERT(ok);
  if (has_model) IM_ASSERT(reader.facts().model == "new\"name" || reader.facts().model.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Input input = fuzz::read_input(data, size);
  const Api api = static_cast<Api>(input.choice % kApis);
  FactsReader whole(api, options());
  const bool whole_ok = whole.feed(input.bytes).has_value() && whole.finish().has_value();

  bool ok = false;
  FactsReader pieces(api, options());
  const std::string same = relay(pieces, input, {}, ok);
  IM_ASSERT(ok == whole_ok);
  IM_ASSERT(input.bytes.starts_with(same));
  if (!ok) return 0;
  IM_ASSERT(same == input.bytes);
  must_agree(whole.facts(), pieces.facts());
  IM_ASSERT(std::ranges::equal(whole.edit_points(), pieces.edit_points()));

  const SplicePlan plan{.model = "new\"name", .usage = true};
  FactsReader live(api, options());
  must_be_spliced(api, relay(live, input, plan, ok), whole.model_known());
  BodySplicer splicer(whole, plan);
  std::vector<std::string_view> out;
  splicer.push(input.bytes, out);
  std::string sent;
  for (const auto view : out) sent += view;
  const auto change = splicer.length_change();
  IM_ASSERT(change && static_cast<std::int64_t>(sent.size()) ==
                          static_cast<std::int64_t>(input.bytes.size()) + *change);
  must_be_spliced(api, sent, whole.model_known());
  return 0;
}
