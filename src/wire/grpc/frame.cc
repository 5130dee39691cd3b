#include "wire/grpc/frame.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <utility>

namespace infermesh::grpc {
namespace {

constexpr int kAnyWrapping = 15 + 32;  // zlib or gzip, by the head

// As much as comes of the input, up to kScanBytesMax. False: it is not what it says.
bool inflate_some(std::string_view input, std::string& out) {
  z_stream stream{};
  if (inflateInit2(&stream, kAnyWrapping) != Z_OK) return false;
  out.resize(kScanBytesMax);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int ended = inflate(&stream, Z_SYNC_FLUSH);
  out.resize(out.size() - stream.avail_out);
  inflateEnd(&stream);
  return ended == Z_OK || ended == Z_STREAM_END || ended == Z_BUF_ERROR;
}

}  // namespace

Result<FirstMessage> read_first_message(std::string_view buffer, std::string_view encoding,
                                        std::string& inflated) {
  FirstMessage message;
  if (buffer.empty()) return message;
  const auto flag = static_cast<unsigned char>(buffer[0]);
  if (flag > 1)
    return fail(ErrorCode::kInvalidField, "The call does not begin with a gRPC message.");
  if (buffer.size() < kFrameHeadBytes) return message;
  message.begun = true;
  for (std::size_t i = 1; i < kFrameHeadBytes; ++i)
    message.announced = message.announced << 8 | static_cast<unsigned char>(buffer[i]);
  message.bytes = buffer.substr(kFrameHeadBytes, message.announced);
  message.whole = message.bytes.size() == message.announced;
  if (flag == 0) {
    message.whole = message.whole && message.announced <= kScanBytesMax;
    message.bytes = message.bytes.substr(0, kScanBytesMax);
    return message;
  }
  if (encoding != "gzip" && encoding != "deflate")
    return fail(
        ErrorCode::kInvalidField,
        fmt::format("The message is compressed by '{}'; this router reads gzip and deflate.",
                    encoding.substr(0, 40)));
  if (!inflate_some(message.bytes, inflated))
    return fail(ErrorCode::kInvalidField,
                fmt::format("The message is not compressed by {}, as it says.", encoding));
  message.bytes = inflated;
  message.whole = message.whole && inflated.size() < kScanBytesMax;
  return message;
}

void FrameTracker::pass(std::string_view bytes) {
  while (!bytes.empty()) {
    if (left_ > 0) {
      const std::size_t some = std::min<std::uint64_t>(left_, bytes.size());
      left_ -= some;
      bytes.remove_prefix(some);
      continue;
    }
    if (head_bytes_ > 0) size_ = size_ << 8 | static_cast<unsigned char>(bytes[0]);
    bytes.remove_prefix(1);
    if (++head_bytes_ < kFrameHeadBytes) continue;
    left_ = std::exchange(size_, 0);
    head_bytes_ = 0;
  }
}

std::string frame_message(std::string_view message) {
  std::string framed(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) framed += static_cast<char>(message.size() >> shift);
  return framed.append(message);
}

}  // namespace infermesh::grpc
