// ClientSide: one client connection as an exchange uses it: its stream, what has been read and not
// yet consumed, and what is still to be written. On the shard that accepted it.
#pragma once

#include <string>
#include <string_view>

#include "data/stream/out_buffer.h"
#include "data/stream/watched_stream.h"

namespace infermesh::data {

class ClientSide {
 public:
  explicit ClientSide(port::StreamPtr connected) : stream(std::move(connected)), out(stream) {}

  enum class Read : std::uint8_t { kSome, kNothing, kGone };
  // One read of at most `scratch` bytes onto `input`.
  Read read_more(std::span<char> scratch);

  // While an answer is awaited nothing more is expected of the client but its leaving. What it
  // sends early (pipelining) is kept up to `input_max`; beyond that its leaving goes unseen until
  // its next bytes are read.
  bool is_gone(std::span<char> scratch, std::size_t input_max);

  WatchedStream stream;
  std::string input;  // from the first unconsumed byte on
  OutBuffer out;
  bool half_close_is_gone = true;
  bool reset_follows_end =
      false;            // HTTP/2: the end of the request says nothing, a reset may follow
  bool ended = false;   // the client has sent FIN, or ended its stream
  bool broken = false;  // the connection or stream was reset
};

}  // namespace infermesh::data
