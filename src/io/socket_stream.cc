#include "io/socket_stream.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

namespace infermesh::io {
namespace {

namespace asio = boost::asio;
using port::CloseMode;
using port::IoResult;
using port::IoStatus;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable_t<port::Executor>{});
constexpr std::size_t kPiecesMax = 16;

IoStatus status_of(const boost::system::error_code& error) {
  if (!error) return IoStatus::kOk;
  return error == asio::error::operation_aborted ? IoStatus::kCancelled : IoStatus::kError;
}

IoResult failed_call() {
  const bool again = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  return {again ? IoStatus::kWouldBlock : IoStatus::kError, 0};
}

}  // namespace

SocketStream::SocketStream(Socket socket)
    : socket_(std::move(socket)),
      read_watch_(std::make_shared<Watch>()),
      write_watch_(std::make_shared<Watch>()) {
  boost::system::error_code ignored;  // a peer that is gone already shows at the first read
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket_.native_non_blocking(true, ignored);
}

SocketStream::~SocketStream() {
  read_watch_->callback = nullptr;
  write_watch_->callback = nullptr;
  close(CloseMode::kGraceful);
}

IoResult SocketStream::try_read(std::span<char> into) {
  if (!socket_.is_open()) return {IoStatus::kError, 0};
  const ssize_t got = ::recv(socket_.native_handle(), into.data(), into.size(), 0);
  if (got < 0) return failed_call();
  if (got == 0) return {into.empty() ? IoStatus::kOk : IoStatus::kEnd, 0};
  return {IoStatus::kOk, static_cast<std::size_t>(got)};
}

IoResult SocketStream::try_write(std::span<const std::string_view> pieces) {
  if (!socket_.is_open()) return {IoStatus::kError, 0};
  std::array<iovec, kPiecesMax> vectors;
  std::size_t count = 0;
  for (const std::string_view piece : pieces.first(std::min(pieces.size(), kPiecesMax))) {
    if (!piece.empty()) vectors[count++] = {const_cast<char*>(piece.data()), piece.size()};
  }
  if (count == 0) return {IoStatus::kOk, 0};
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = count;
  const ssize_t sent = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL);
  if (sent < 0) return failed_call();
  return {IoStatus::kOk, static_cast<std::size_t>(sent)};
}

port::Task<IoStatus> SocketStream::readable() {
  auto [error] = co_await socket_.async_wait(Socket::wait_read, kTuple);
  co_return status_of(error);
}

port::Task<IoStatus> SocketStream::writable() {
  auto [error] = co_await socket_.async_wait(Socket::wait_write, kTuple);
  co_return status_of(error);
}

void SocketStream::watch(Socket::wait_type type, std::shared_ptr<Watch>& slot,
                         std::function<void(IoStatus)> callback) {
  slot->callback = std::move(callback);
  socket_.async_wait(type, [watch = slot](const boost::system::error_code& error) {
    if (auto call = std::exchange(watch->callback, nullptr)) call(status_of(error));
  });
}

void SocketStream::when_readable(std::function<void(IoStatus)> callback) {
  watch(Socket::wait_read, read_watch_, std::move(callback));
}

void SocketStream::when_writable(std::function<void(IoStatus)> callback) {
  watch(Socket::wait_write, write_watch_, std::move(callback));
}

void SocketStream::cancel() {
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

void SocketStream::close(CloseMode mode) {
  if (!socket_.is_open()) return;
  boost::system::error_code ignored;
  if (mode == CloseMode::kReset) {
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  } else {
    socket_.shutdown(asio::socket_base::shutdown_send, ignored);
  }
  if (mode == CloseMode::kSendOnly) return;
  socket_.close(ignored);
}

std::string SocketStream::peer() const {
  boost::system::error_code error;
  const auto endpoint = socket_.remote_endpoint(error);
  if (error) return "-";
  return fmt::format("{}:{}", endpoint.address().to_string(), endpoint.port());
}

}  // namespace infermesh::io
