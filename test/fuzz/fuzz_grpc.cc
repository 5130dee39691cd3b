// The beginning of a gRPC call, as it grows. What is found in a part of it stays true of the rest:
// the same model, the same verdict; views lie in what was given, and no more than the limit is
// shown.
#include <optional>
#include <string>

#include "fuzz_cuts.h"
#include "wire/grpc/frame.h"
#include "wire/grpc/kserve.h"
#include "wire/grpc/status.h"

namespace {

using namespace infermesh;

void check_texts(std::string_view text) {
  if (const auto time = grpc::parse_timeout(text)) {
    IM_ASSERT(*time >= Duration::zero());
    const auto again = grpc::parse_timeout(grpc::format_timeout(*time));
    IM_ASSERT(again && (*again <= *time || *again == 1ns));
  }
  for (const char c : grpc::escape_message(text)) IM_ASSERT(c >= 0x20 && c < 0x7f);
}

// Once settled it stays, and it is short.
void check_sequence(const grpc::FirstMessage& message, std::optional<std::string>& seen) {
  const auto scan = grpc::scan_sequence(message.bytes, message.whole);
  IM_ASSERT(scan.id.size() <= grpc::kSequenceIdMax);
  if (seen) IM_ASSERT(scan.settled && scan.id == *seen);
  if (scan.settled) seen = scan.id;
}

// However a stream of messages is cut, it is known whether one is there in part.
void check_tracker(const fuzz::Input& input) {
  grpc::FrameTracker whole, pieces;
  whole.pass(input.bytes);
  fuzz::for_each_piece(input, [&](std::string_view piece) { pieces.pass(piece); });
  IM_ASSERT(whole.amid() == pieces.amid());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = fuzz::read_input(data, size);
  check_tracker(input);
  check_texts(input.bytes.substr(0, 64));
  std::string seen, inflated;
  std::optional<std::string> model, sequence;
  bool refused = false;
  fuzz::for_each_piece(input, [&](std::string_view piece) {
    if (refused || seen.size() > (1 << 16)) return;
    seen.append(piece);
    const fuzz::Exact exact(seen);
    const auto message = grpc::read_first_message(exact.view(), "gzip", inflated);
    if (!message) {
      refused = true;
      return;
    }
    IM_ASSERT(message->bytes.size() <= grpc::kScanBytesMax);
    check_sequence(*message, sequence);
    const auto scan = grpc::scan_model(message->bytes, message->whole);
    if (!scan) {
      IM_ASSERT(!model);
      return;
    }
    if (model) IM_ASSERT(scan->state == grpc::ModelScan::State::kFound && scan->model == *model);
    if (scan->state == grpc::ModelScan::State::kFound) model = scan->model;
  });
  return 0;
}
