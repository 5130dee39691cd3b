#include "io/socket_stream.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "io/address.h"
#include "port/wakeup.h"

namespace infermesh::io {
namespace {

using port::CloseMode;
using port::IoResult;
using port::IoStatus;

constexpr std::size_t kPiecesMax = 16;
constexpr std::uint32_t kEnded = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

// Little is cheaper to bring together here than to have gathered by the kernel: 0.2 us of 4.4 for a
// chunk of 200 bytes with its frame.
constexpr std::size_t kCopiedMax = 4096;

ssize_t send_copied(int fd, std::span<const iovec> pieces) {
  if (pieces.size() == 1) return ::send(fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL);
  std::array<char, kCopiedMax> together;
  std::size_t size = 0;
  for (const iovec& piece : pieces) {
    std::memcpy(together.data() + size, piece.iov_base, piece.iov_len);
    size += piece.iov_len;
  }
  return ::send(fd, together.data(), size, MSG_NOSIGNAL);
}

ssize_t send_gathered(int fd, std::span<iovec> pieces) {
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  return ::sendmsg(fd, &message, MSG_NOSIGNAL);
}

bool would_block() {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

}  // namespace

SocketStream::SocketStream(Reactor& reactor, int fd) : reactor_(reactor), fd_(fd) {
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (!reactor_.add(fd_, EPOLLIN | EPOLLOUT | EPOLLRDHUP, *this)) {
    ::close(fd_);  // out of kernel memory: the stream is an error from its first use
    fd_ = -1;
  }
}

SocketStream::~SocketStream() {
  read_.waiting = write_.waiting = nullptr;
  close(CloseMode::kGraceful);
  reactor_.forget(*this);
}

IoResult SocketStream::try_read(std::span<char> into) {
  if (fd_ < 0) return {IoStatus::kError, 0};
  const ssize_t got = ::recv(fd_, into.data(), into.size(), 0);
  if (got < 0) {
    if (!would_block()) return {IoStatus::kError, 0};
    read_.ready = false;
    return {IoStatus::kWouldBlock, 0};
  }
  if (got == 0) return {into.empty() ? IoStatus::kOk : IoStatus::kEnd, 0};
  // A read that does not fill its buffer has taken all there was; what comes later is told anew.
  if (static_cast<std::size_t>(got) < into.size()) read_.ready = ended_;
  return {IoStatus::kOk, static_cast<std::size_t>(got)};
}

IoResult SocketStream::try_write(std::span<const std::string_view> pieces) {
  if (fd_ < 0) return {IoStatus::kError, 0};
  std::array<iovec, kPiecesMax> vectors;
  std::size_t count = 0;
  std::size_t size = 0;
  for (const std::string_view piece : pieces.first(std::min(pieces.size(), kPiecesMax))) {
    if (piece.empty()) continue;
    vectors[count++] = {const_cast<char*>(piece.data()), piece.size()};
    size += piece.size();
  }
  if (count == 0) return {IoStatus::kOk, 0};
  const std::span used(vectors.data(), count);
  const ssize_t sent = size <= kCopiedMax ? send_copied(fd_, used) : send_gathered(fd_, used);
  if (sent >= 0) return {IoStatus::kOk, static_cast<std::size_t>(sent)};
  if (!would_block()) return {IoStatus::kError, 0};
  write_.ready = false;
  return {IoStatus::kWouldBlock, 0};
}

// What was told before the wait began counts. Nothing is called back from within.
void SocketStream::when(Side& side, Callback callback) {
  side.waiting = std::move(callback);
  side.cancelled = fd_ < 0;
  if (side.due()) reactor_.defer(*this);
}

void SocketStream::when_readable(Callback callback) {
  when(read_, std::move(callback));
}

void SocketStream::when_writable(Callback callback) {
  when(write_, std::move(callback));
}

// One callback a call, the last thing that it does: it may destroy the stream.
void SocketStream::on_ready(std::uint32_t events) {
  if ((events & kEnded) != 0) ended_ = true;
  if ((events & (EPOLLIN | kEnded)) != 0) read_.ready = true;
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) write_.ready = true;
  Side& side = read_.due() ? read_ : write_;
  if (!side.due()) return;
  if (read_.due() && write_.due()) reactor_.defer(*this);
  const IoStatus status =
      std::exchange(side.cancelled, false) ? IoStatus::kCancelled : IoStatus::kOk;
  std::exchange(side.waiting, nullptr)(status);
}

port::Task<IoStatus> SocketStream::until(Side& side) {
  if (fd_ < 0) co_return IoStatus::kError;
  if (side.ready) co_return IoStatus::kOk;
  port::Wakeup wake;
  IoStatus status = IoStatus::kOk;
  side.waiting = [&wake, &status](IoStatus told) {
    status = told;
    wake.set();
  };
  co_await wake.wait();
  co_return status;
}

port::Task<IoStatus> SocketStream::readable() {
  return until(read_);
}

port::Task<IoStatus> SocketStream::writable() {
  return until(write_);
}

void SocketStream::cancel() {
  for (Side* side : {&read_, &write_}) side->cancelled = side->waiting != nullptr;
  if (read_.due() || write_.due()) reactor_.defer(*this);
}

void SocketStream::close(CloseMode mode) {
  if (fd_ < 0) return;
  if (mode == CloseMode::kReset) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  } else if (mode == CloseMode::kSendOnly) {
    ::shutdown(fd_, SHUT_WR);
    return;
  }
  release();
  cancel();
}

void SocketStream::release() {
  reactor_.remove(fd_, *this);
  ::close(fd_);
  fd_ = -1;
}

std::string SocketStream::peer() const {
  SocketAddress address;
  return fd_ >= 0 && ::getpeername(fd_, address.raw(), &address.size) == 0 ? address.text() : "-";
}

int SocketStream::socket_error() const {
  int error = 0;
  socklen_t size = sizeof error;
  if (fd_ < 0) return ENOBUFS;
  return ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

}  // namespace infermesh::io
