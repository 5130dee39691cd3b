// RequestBody: takes a request's body in, reads its facts on the way, and keeps it so that it can
// be sent again to another engine until the first byte of an answer. Bounded by `bytes_max`. Of one
// exchange.
#pragma once

#include <string>
#include <string_view>

#include "data/stream/client_side.h"
#include "wire/http/body.h"
#include "wire/openai/facts.h"

namespace infermesh::data {

class RequestBody {
 public:
  RequestBody(const http::RequestHead& head, openai::FactsReader& facts, std::uint64_t bytes_max);

  enum class Step : std::uint8_t { kProgress, kNothing, kClientGone };
  // Takes what the client has sent so far, up to about `at_most` bytes: more may be there then. An
  // error is the client's: bad framing, too large, not the JSON expected.
  Result<Step> pump(ClientSide& client, std::span<char> scratch, std::size_t at_most);
  // More of the body can be had at once.
  bool more_at_hand(const ClientSide& client) const {
    return !complete() && (!client.input.empty() || client.stream.may_read());
  }

  bool complete() const { return decoder_.done(); }
  std::string_view bytes() const { return kept_; }
  std::uint64_t announced() const { return announced_; }  // content-length, 0 when chunked

 private:
  Result<Step> read_some(ClientSide& client, std::span<char> scratch);
  Result<Step> read_in_place(ClientSide& client);
  Result<void> take(std::string& input);  // from its beginning, what belongs to this body

  openai::FactsReader& facts_;
  http::BodyDecoder decoder_;
  std::uint64_t bytes_max_;
  std::uint64_t announced_ = 0;
  std::string kept_;
  bool finished_ = false;
};

}  // namespace infermesh::data
