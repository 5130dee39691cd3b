// Multipart bodies. Cut anywhere they have the same parts; each part's data stands in the body
// where it is said to; and a form's facts do not depend on the cuts either.
#include <string>
#include <vector>

#include "fuzz_cuts.h"
#include "wire/http/multipart.h"
#include "wire/openai/form_reader.h"

namespace {

using namespace infermesh;

constexpr std::string_view kBoundary = "bb";

struct Part {
  std::string name, data;
  std::uint64_t begin = 0, end = 0;
  bool operator==(const Part&) const = default;
};

struct Read {
  http::MultipartScanner scanner{kBoundary};
  std::vector<Part> parts;
  bool failed = false;
};

void take(Read& read, std::string_view piece) {
  if (read.failed) return;
  const fuzz::Exact exact(piece);
  read.scanner.feed(exact.view());
  while (true) {
    const auto token = read.scanner.next();
    if (token.kind == http::PartToken::kMore) return;
    if (token.kind == http::PartToken::kError) {
      read.failed = true;
      return;
    }
    if (token.kind == http::PartToken::kPart) {
      read.parts.push_back({std::string(token.text), {}, token.at, 0});
    }
    if (token.kind == http::PartToken::kData) read.parts.back().data += token.text;
    if (token.kind == http::PartToken::kPartEnd) read.parts.back().end = token.at;
  }
}

struct Form {
  openai::FormReader reader{Api::kTranscriptions, {.boundary = std::string(kBoundary)}};
  bool failed = false;
};

void take(Form& form, std::string_view piece) {
  if (form.failed) return;
  const fuzz::Exact exact(piece);
  form.failed = !form.reader.feed(exact.view());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = fuzz::read_input(data, size);
  Read whole, cut;
  Form whole_form, cut_form;
  take(whole, input.bytes);
  take(whole_form, input.bytes);
  fuzz::for_each_piece(input, [&](std::string_view piece) {
    take(cut, piece);
    take(cut_form, piece);
  });
  IM_ASSERT(whole.failed == cut.failed);
  IM_ASSERT(whole.parts == cut.parts);
  IM_ASSERT(whole.scanner.ended() == cut.scanner.ended());
  for (const Part& part : whole.parts) {
    if (part.end == 0) continue;
    IM_ASSERT(std::string_view(input.bytes).substr(part.begin, part.end - part.begin) == part.data);
  }
  IM_ASSERT(whole_form.failed == cut_form.failed);
  if (whole_form.failed) return 0;
  IM_ASSERT(whole_form.reader.model() == cut_form.reader.model());
  IM_ASSERT(whole_form.reader.stream() == cut_form.reader.stream());
  IM_ASSERT(whole_form.reader.model_conflict() == cut_form.reader.model_conflict());
  return 0;
}
