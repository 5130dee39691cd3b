#include "data/exchange/request_body.h"

#include <fmt/format.h>

#include "base/text.h"

namespace infermesh::data {
namespace {

constexpr std::uint64_t kReserveMax =
    1 << 20;  // an announced length is a promise, not a reason to take memory

std::unexpected<Error> too_large(std::uint64_t bytes, std::uint64_t bytes_max) {
  return fail(ErrorCode::kRequestTooLarge,
              fmt::format("The body has {}{} bytes; this router takes at most {}.",
                          bytes > bytes_max ? "" : "over ", bytes, format_size(bytes_max)));
}

}  // namespace

RequestBody::RequestBody(const http::RequestHead& head, openai::FactsReader& facts,
                         std::uint64_t bytes_max)
    : facts_(facts),
      decoder_(head),
      bytes_max_(bytes_max),
      announced_(head.content_length.value_or(0)) {
  kept_.reserve(std::min(announced_, kReserveMax));
}

// Bytes of a body that is refused are used up too: what is left in `input` is read as the next
// request.
Result<void> RequestBody::take(std::string& input) {
  Result<void> read;
  std::size_t used = 0;
  while (read && !decoder_.done() && used < input.size()) {
    const http::BodyPiece piece = decoder_.decode(std::string_view(input).substr(used));
    if (piece.state == http::BodyState::kError) return std::unexpected(decoder_.error());
    used += piece.consumed;
    if (decoder_.total() > bytes_max_) return too_large(decoder_.total(), bytes_max_);
    if (piece.payload.empty()) continue;
    kept_.append(piece.payload);
    read = facts_.feed(piece.payload);
  }
  input.erase(0, used);
  return read;
}

Result<RequestBody::Step> RequestBody::pump(ClientSide& client, std::span<char> scratch,
                                            std::size_t at_most) {
  if (announced_ > bytes_max_) return too_large(announced_, bytes_max_);
  Step step = Step::kNothing;
  const std::size_t enough = kept_.size() + at_most;
  while (!decoder_.done() && kept_.size() < enough) {
    if (client.input.empty()) {
      if (!client.stream.may_read()) return step;
      const auto read = client.read_more(scratch);
      if (read == ClientSide::Read::kGone) return Step::kClientGone;
      if (read == ClientSide::Read::kNothing) return step;
    }
    IM_TRY(take(client.input));
    step = Step::kProgress;
  }
  if (decoder_.done() && !finished_) {
    finished_ = true;
    if (client.input.empty()) client.input = {};
    IM_TRY(facts_.finish());
    return Step::kProgress;
  }
  return step;
}

}  // namespace infermesh::data
