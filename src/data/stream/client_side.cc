#include "data/stream/client_side.h"

namespace infermesh::data {

using port::IoStatus;

ClientSide::Read ClientSide::read_more(std::span<char> scratch) {
  if (ended && !reset_follows_end) return Read::kGone;
  const port::IoResult result = stream.read(scratch);
  switch (result.status) {
    case IoStatus::kOk:
      input.append(scratch.data(), result.bytes);
      return Read::kSome;
    case IoStatus::kWouldBlock:
      return Read::kNothing;
    default:
      ended = true;
      broken = result.status == IoStatus::kError;
      return Read::kGone;
  }
}

bool ClientSide::is_gone(std::span<char> scratch, std::size_t input_max) {
  if (out.failed()) return true;
  while ((!ended || reset_follows_end) && !broken && stream.may_read() &&
         input.size() < input_max) {
    if (read_more(scratch) == Read::kNothing) break;
  }
  return broken || (ended && half_close_is_gone);
}

}  // namespace infermesh::data
