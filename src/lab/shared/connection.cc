#include "lab/shared/connection.h"

#include <array>

namespace infermesh::lab {

using port::IoStatus;

Connection::Connection(port::Loop& loop, port::StreamPtr stream)
    : loop_(loop), stream_(std::move(stream)), timer_([this] { wake.set(); }) {}

port::Task<void> Connection::pause(Instant deadline) {
  watch();
  loop_.arm(timer_, deadline);
  co_await wake.wait();
  loop_.arm(timer_, kNever);
}

port::Task<bool> Connection::write(std::string_view bytes, Instant deadline) {
  while (!bytes.empty()) {
    if (broken_ || closed_) co_return false;
    const auto written = stream_->try_write(std::span(&bytes, 1));
    if (written.status == IoStatus::kOk) {
      bytes.remove_prefix(written.bytes);
      continue;
    }
    if (written.status != IoStatus::kWouldBlock) {
      broken_ = ended_ = true;
      co_return false;
    }
    if (loop_.now() >= deadline) co_return false;
    watch_room();
    co_await pause(deadline);
  }
  co_return true;
}

bool Connection::alive() {
  if (!ended_ && !closed_) take_input();
  return !ended_ && !closed_ && input_.empty();
}

void Connection::close(port::CloseMode mode) {
  if (closed_) return;
  closed_ = ended_ = true;
  stream_->close(mode);
}

void Connection::watch() {
  if (watching_ || ended_ || closed_ || input_.size() >= kInputMax) return;
  watching_ = true;
  stream_->when_readable([this](IoStatus status) {
    watching_ = false;
    if (status == IoStatus::kCancelled) return;
    take_input();
    wake.set();
  });
}

void Connection::watch_room() {
  if (watching_room_) return;
  watching_room_ = true;
  stream_->when_writable([this](IoStatus) {
    watching_room_ = false;
    wake.set();
  });
}

void Connection::take_input() {
  std::array<char, 16 * 1024> piece;
  while (input_.size() < kInputMax) {
    const auto read = stream_->try_read(piece);
    if (read.status == IoStatus::kWouldBlock) return;
    if (read.status != IoStatus::kOk) {
      ended_ = true;
      broken_ = read.status != IoStatus::kEnd;
      return;
    }
    input_.append(piece.data(), read.bytes);
    if (read.bytes < piece.size()) return;
  }
}

}  // namespace infermesh::lab
