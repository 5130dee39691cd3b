// RequestBody: takes a request's body in, reads its facts on the way, and keeps it so that it can
// be sent again to another engine until the first byte of an answer. Bounded by `bytes_max`. A body
// that is passed through is kept up to `held_max`; once that much is held, what has been sent is
// dropped, and the body cannot be sent again. Of one exchange.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "data/stream/client_side.h"
#include "wire/http/body.h"
#include "wire/openai/body_reader.h"

namespace infermesh::data {

class RequestBody {
 public:
  struct Limits {
    std::uint64_t bytes_max;
    std::uint64_t held_max = UINT64_MAX;
  };
  RequestBody(const http::RequestHead& head, openai::BodyReader& reader, Limits limits);

  enum class Step : std::uint8_t { kProgress, kNothing, kClientGone };
  // Takes what the client has sent so far, up to about `at_most` bytes: more may be there then. An
  // error is the client's: bad framing, too large, not the JSON expected. Nothing is taken while
  // full().
  Result<Step> pump(ClientSide& client, std::span<char> scratch, std::size_t at_most);
  // More of the body can be had at once.
  bool more_at_hand(const ClientSide& client) const {
    return !complete() && !full() && (!client.input.empty() || client.stream.may_read());
  }

  bool complete() const { return decoder_.done(); }
  std::uint64_t received() const { return begin_ + kept_.size(); }
  // What is held from this offset on; it must not have been dropped.
  std::string_view from(std::uint64_t offset) const;
  std::uint64_t announced() const { return announced_; }  // content-length, 0 when chunked

  bool welcome() const { return announced_ <= limits_.bytes_max; }

  bool full() const { return kept_.size() >= hold(); }
  bool whole() const { return begin_ == 0; }  // all that was received is still held
  bool may_outgrow() const;                   // it can come to be not whole
  // The bytes before `offset` have been handed to an engine.
  void sent(std::uint64_t offset);
  // Nothing more of it is taken in or sent: frees what is held. Only received(), announced() and
  // complete() may be asked then; the reader may go.
  void release();

 private:
  Result<Step> read_some(ClientSide& client, std::span<char> scratch);
  Result<Step> read_in_place(ClientSide& client);
  Result<void> take(std::string& input);  // from its beginning, what belongs to this body
  std::uint64_t hold() const;
  void make_room(std::size_t more);

  openai::BodyReader& reader_;
  http::BodyDecoder decoder_;
  Limits limits_;
  std::uint64_t announced_ = 0;
  std::uint64_t begin_ = 0;  // offset of what is kept
  std::string kept_;
  bool finished_ = false;
};

}  // namespace infermesh::data
