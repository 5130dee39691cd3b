#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/text.h"
#include "io/address.h"
#include "io/event_loop.h"
#include "io/listening.h"
#include "io/socket_stream.h"
#include "port/wakeup.h"

namespace infermesh::io {
namespace {

constexpr int kBacklog = 4096;

std::string error_text(int error) {
  return std::system_category().message(error);
}

class SocketListener final : public port::Listener, private Reactor::Watcher {
 public:
  SocketListener(Reactor& reactor, int fd, std::string address)
      : reactor_(reactor), fd_(fd), address_(std::move(address)) {
    if (!reactor_.add(fd_, EPOLLIN, *this)) close();
  }
  ~SocketListener() override { close(); }

  port::Task<Result<port::StreamPtr>> accept() override {
    while (fd_ >= 0) {
      const int accepted = ::accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (accepted >= 0) co_return std::make_unique<SocketStream>(reactor_, accepted);
      // A client that left while it waited is not an error of the listener's.
      if (errno == ECONNABORTED || errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) {
        co_return fail(ErrorCode::kInternal,
                       fmt::format("accept on {}: {}", address_, error_text(errno)));
      }
      co_await wake_.wait();
    }
    co_return fail(ErrorCode::kUnavailable, fmt::format("{} is closed", address_));
  }

  void close() override {
    if (fd_ < 0) return;
    reactor_.remove(fd_, *this);
    ::close(fd_);
    fd_ = -1;
    wake_.set();
  }

  std::string address() const override { return address_; }

 private:
  void on_ready(std::uint32_t) override { wake_.set(); }

  Reactor& reactor_;
  int fd_;
  std::string address_;
  port::Wakeup wake_;
};

// A bound and listening socket, or -errno.
int bound_socket(const SocketAddress& wanted, Sharing sharing) {
  const int fd = ::socket(wanted.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  const int on = 1, off = 0;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (sharing == Sharing::kShared) ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (wanted.family() == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (::bind(fd, wanted.raw(), wanted.size) == 0 && ::listen(fd, kBacklog) == 0) return fd;
  const int error = errno;
  ::close(fd);
  return -error;
}

Result<SocketAddress> address_of(const std::string& host, std::uint16_t port) {
  const auto wanted = SocketAddress::from_literal(host == "localhost" ? "127.0.0.1" : host, port);
  if (wanted) return *wanted;
  return fail(ErrorCode::kInvalidConfig,
              fmt::format("\"{}\" is not an address to listen on; write an IP address", host));
}

SocketAddress address_of(int fd) {
  SocketAddress bound;
  ::getsockname(fd, bound.raw(), &bound.size);
  return bound;
}

bool is_listening(int fd) {
  int listening = 0;
  socklen_t size = sizeof listening;
  return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening == 1;
}

}  // namespace

Result<Descriptor> open_listening(const std::string& host, std::uint16_t port, Sharing sharing) {
  const auto wanted = address_of(host, port);
  if (!wanted) return std::unexpected(wanted.error());
  const int fd = bound_socket(*wanted, sharing);
  if (fd >= 0) return Descriptor(fd);
  return fail(ErrorCode::kUnavailable, fmt::format("cannot listen on {}: {}; is another process "
                                                   "using it? choose another port, or 0 for any",
                                                   wanted->text(), lower(error_text(-fd))));
}

Result<std::string> address_of_listening(const Descriptor& socket, const std::string& host,
                                         std::uint16_t port) {
  if (!is_listening(socket.get())) {
    return fail(ErrorCode::kInvalidConfig, "what was given is not a listening socket");
  }
  const SocketAddress bound = address_of(socket.get());
  const auto wanted = address_of(host, port == 0 ? bound.port() : port);
  if (!wanted) return std::unexpected(wanted.error());
  if (wanted->text() == bound.text()) return bound.text();
  return fail(ErrorCode::kInvalidConfig,
              fmt::format("it listens on {}, not on {}", bound.text(), wanted->text()));
}

std::unique_ptr<port::Listener> listener_of(EventLoop& loop, Descriptor socket) {
  const std::string address = address_of(socket.get()).text();
  return std::make_unique<SocketListener>(loop.reactor(), socket.release(), address);
}

Result<std::unique_ptr<port::Listener>> listen(EventLoop& loop, const std::string& host,
                                               std::uint16_t port, Sharing sharing) {
  auto socket = open_listening(host, port, sharing);
  if (!socket) return std::unexpected(socket.error());
  return listener_of(loop, std::move(*socket));
}

Result<HostPort> parse_host_port(std::string_view text) {
  const auto colon = text.rfind(':');
  const auto port =
      colon == std::string_view::npos ? std::nullopt : parse_u64(text.substr(colon + 1));
  if (!port || *port > 65535) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("\"{}\" is not HOST:PORT, such as 127.0.0.1:6400", text));
  }
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host == "*") host = {};
  return HostPort{std::string(host), static_cast<std::uint16_t>(*port)};
}

}  // namespace infermesh::io
