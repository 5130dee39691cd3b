#include "data/stream/out_buffer.h"

namespace infermesh::data {

using port::IoStatus;

void OutBuffer::write(std::span<const std::string_view> pieces) {
  if (failed_) return;
  if (blocked()) return keep(pieces, 0);
  while (!pieces.empty()) {
    std::size_t offered = 0;
    for (const std::string_view piece : pieces) offered += piece.size();
    if (offered == 0) return;
    const port::IoResult result = stream_->write(pieces);
    if (result.status == IoStatus::kWouldBlock) return keep(pieces, 0);
    if (result.status != IoStatus::kOk) {
      failed_ = true;
      return;
    }
    written_ += result.bytes;
    std::size_t taken = result.bytes;
    while (!pieces.empty() && taken >= pieces.front().size()) {
      taken -= pieces.front().size();
      pieces = pieces.subspan(1);
    }
    if (taken > 0) return keep(pieces, taken);  // a short write: the socket is full
  }
}

void OutBuffer::keep(std::span<const std::string_view> pieces, std::size_t skip) {
  for (const std::string_view piece : pieces) {
    kept_.append(piece.substr(std::min(skip, piece.size())));
    skip -= std::min(skip, piece.size());
  }
  flush();
}

void OutBuffer::flush() {
  while (blocked() && !failed_) {
    const std::string_view rest = std::string_view(kept_).substr(sent_);
    const port::IoResult result = stream_->write(std::span(&rest, 1));
    if (result.status == IoStatus::kWouldBlock) return;
    if (result.status != IoStatus::kOk) {
      failed_ = true;
      return;
    }
    written_ += result.bytes;
    sent_ += result.bytes;
  }
  sent_ = 0;
  kept_.clear();
  kept_.shrink_to_fit();
}

}  // namespace infermesh::data
