#include "data/exchange/request_body.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "base/free_text.h"
#include "base/text.h"

namespace infermesh::data {
namespace {

constexpr std::uint64_t kReserveMax =
    1 << 20;  // an announced length is a promise, not a reason to take memory

constexpr std::uint64_t kReadMax = 256 << 10;  // at a time, so that others get their turn
constexpr std::size_t kReadBeyond = 512;
constexpr std::uint64_t kWindow = 128 << 10;  // held of a body whose beginning has been dropped

std::unexpected<Error> too_large(std::uint64_t bytes, std::uint64_t bytes_max) {
  return fail(ErrorCode::kRequestTooLarge,
              fmt::format("The body has {}{} bytes; this router takes at most {}.",
                          bytes > bytes_max ? "" : "over ", bytes, format_size(bytes_max)));
}

}  // namespace

RequestBody::RequestBody(const http::RequestHead& head, openai::BodyReader& reader, Limits limits)
    : reader_(reader),
      decoder_(head),
      limits_(limits),
      announced_(head.content_length.value_or(0)) {
  kept_.reserve(std::min({announced_, kReserveMax, limits.held_max}) + kReadBeyond);
}

std::uint64_t RequestBody::hold() const {
  return whole() ? limits_.held_max : std::min(limits_.held_max, kWindow);
}

bool RequestBody::may_outgrow() const {
  if (complete()) return !whole();
  const bool open = announced_ == 0 && limits_.held_max < limits_.bytes_max;
  return open || announced_ > limits_.held_max;
}

std::string_view RequestBody::from(std::uint64_t offset) const {
  IM_ASSERT(offset >= begin_);
  return std::string_view(kept_).substr(offset - begin_);
}

void RequestBody::sent(std::uint64_t offset) {
  IM_ASSERT(offset >= begin_ && offset <= received());
  if (whole()) {
    if (!full() || complete()) return;
    std::string rest(from(offset));  // and not the memory of what was held
    begin_ = offset;
    kept_ = std::move(rest);
    return;
  }
  kept_.erase(0, offset - begin_);
  begin_ = offset;
}

void RequestBody::release() {
  begin_ += kept_.size();
  free_text(kept_);
}

// Doubling would take up to twice what is ever held of a long upload.
void RequestBody::make_room(std::size_t more) {
  const std::size_t needed = kept_.size() + more;
  if (limits_.held_max == UINT64_MAX || needed <= kept_.capacity()) return;
  const std::size_t most = std::max<std::size_t>(needed, hold() + kReadBeyond);
  std::string larger;
  larger.reserve(std::min(most, 2 * needed));
  larger.append(kept_);
  kept_ = std::move(larger);
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
    if (decoder_.total() > limits_.bytes_max) return too_large(decoder_.total(), limits_.bytes_max);
    if (piece.payload.empty()) continue;
    make_room(piece.payload.size());
    kept_.append(piece.payload);
    read = reader_.feed(piece.payload);
  }
  input.erase(0, used);
  return read;
}

// A body of known length is read to where it is kept, without a stop on the way. Room for a little
// more than the rest of it lets one short read tell that nothing else has come.
Result<RequestBody::Step> RequestBody::read_in_place(ClientSide& client) {
  const std::size_t before = kept_.size();
  const std::uint64_t room = std::max<std::uint64_t>(hold() - before, 1);
  const std::size_t rest = std::min({decoder_.expected(), kReadMax, room});
  port::IoResult got;
  make_room(rest + kReadBeyond);
  kept_.resize_and_overwrite(before + rest + kReadBeyond, [&](char* data, std::size_t size) {
    got = client.stream.read({data + before, size - before});
    return before + (got.status == port::IoStatus::kOk ? got.bytes : 0);
  });
  if (got.status == port::IoStatus::kWouldBlock) return Step::kNothing;
  if (got.status != port::IoStatus::kOk) {
    client.ended = true;
    return Step::kClientGone;
  }
  const http::BodyPiece piece = decoder_.decode(std::string_view(kept_).substr(before));
  client.input.assign(kept_, before + piece.consumed);
  kept_.resize(before + piece.consumed);
  IM_TRY(reader_.feed(std::string_view(kept_).substr(before)));
  return Step::kProgress;
}

Result<RequestBody::Step> RequestBody::read_some(ClientSide& client, std::span<char> scratch) {
  if (client.input.empty()) {
    if (!client.stream.may_read()) return Step::kNothing;
    if (decoder_.expected() > 0) return read_in_place(client);
    const auto read = client.read_more(scratch);
    if (read == ClientSide::Read::kGone) {
      const bool whole = !client.broken && decoder_.finish_on_eof() == http::BodyEof::kClean;
      return whole ? Step::kProgress : Step::kClientGone;
    }
    if (read == ClientSide::Read::kNothing) return Step::kNothing;
  }
  IM_TRY(take(client.input));
  return Step::kProgress;
}

Result<RequestBody::Step> RequestBody::pump(ClientSide& client, std::span<char> scratch,
                                            std::size_t at_most) {
  if (announced_ > limits_.bytes_max) return too_large(announced_, limits_.bytes_max);
  Step step = Step::kNothing;
  const std::size_t enough = kept_.size() + at_most;
  while (!decoder_.done() && kept_.size() < enough && !full()) {
    const auto read = read_some(client, scratch);
    if (!read || *read == Step::kClientGone) return read;
    if (*read == Step::kNothing) return step;
    step = Step::kProgress;
  }
  if (decoder_.done() && !finished_) {
    finished_ = true;
    if (client.input.empty()) free_text(client.input);
    IM_TRY(reader_.finish());
    return Step::kProgress;
  }
  return step;
}

}  // namespace infermesh::data
