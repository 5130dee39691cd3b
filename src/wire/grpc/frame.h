// FirstMessage: the beginning of a call's first message, as far as it has come: the frame's head
// taken off, inflated when it is compressed. Reads a buffer that begins with the call's first byte
// and grows; gives at most kBytesMax of the message, which is all that routing may look at.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace infermesh::grpc {

constexpr std::size_t kFrameHeadBytes = 5;
constexpr std::size_t kScanBytesMax = 64 << 10;

struct FirstMessage {
  bool begun = false;           // the frame's head is there
  bool whole = false;           // all of the message is in `bytes`
  std::uint32_t announced = 0;  // bytes of the message as sent
  std::string_view bytes;       // of the message; in the buffer, or in `inflated`
};

// `encoding`: the call's grpc-encoding; gzip, deflate, identity or empty. kInvalidField when the
// frame is none, or compressed by something else.
Result<FirstMessage> read_first_message(std::string_view buffer, std::string_view encoding,
                                        std::string& inflated);

// Where in a stream of messages the bytes are that have passed.
class FrameTracker {
 public:
  void pass(std::string_view bytes);
  bool amid() const { return head_bytes_ > 0 || left_ > 0; }  // a message is there in part

 private:
  std::size_t head_bytes_ = 0;  // of the present frame's head; 0 once it is whole
  std::uint32_t size_ = 0;      // as read so far
  std::uint64_t left_ = 0;      // of the message
};

// A message with its frame's head, not compressed.
std::string frame_message(std::string_view message);

}  // namespace infermesh::grpc
