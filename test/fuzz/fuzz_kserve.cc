// KServe v2: the JSON in front of binary tensors gives the same id and sequence wherever it is cut,
// and any path is understood or not without harm.
#include "fuzz_cuts.h"
#include "wire/http/percent.h"
#include "wire/kserve/infer_reader.h"
#include "wire/kserve/path.h"

namespace {

using namespace infermesh;

void check_path(std::string_view text) {
  const std::string path = "/v2/models/" + std::string(text);
  const auto target = kserve::parse_path(path);
  if (!target || target->model.empty() || target->model == "stats") return;
  const auto again = kserve::parse_path(kserve::with_model(path, target->model));
  IM_ASSERT(again && again->model == target->model && again->call == target->call);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = fuzz::read_input(data, size);
  check_path(input.bytes);
  const std::string text(input.bytes);
  IM_ASSERT(http::percent_decoded(http::percent_encoded(text)) == text);
  const kserve::InferOptions options{
      .model = "m", .stream = false, .json_bytes = input.bytes.size() / 2};
  kserve::InferReader whole(Api::kInfer, options), cut(Api::kInfer, options);
  {
    const fuzz::Exact exact(input.bytes);
    IM_ASSERT(whole.feed(exact.view()));
  }
  fuzz::for_each_piece(input, [&](std::string_view piece) {
    const fuzz::Exact exact(piece);
    IM_ASSERT(cut.feed(exact.view()));
  });
  IM_ASSERT(whole.id() == cut.id());
  IM_ASSERT(whole.body_session("sequence_id") == cut.body_session("sequence_id"));
  IM_ASSERT(whole.offset() == cut.offset());
  return 0;
}
