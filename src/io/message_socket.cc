#include "io/message_socket.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/assert.h"
#include "base/text.h"

namespace infermesh::io {
namespace {

constexpr int kBacklog = 8;

// Room for a control message with all the descriptors there may be.
constexpr std::size_t kControlBytes = CMSG_SPACE(sizeof(int) * MessageSocket::kDescriptorsMax);

Error trouble(std::string_view what, int error) {
  return {ErrorCode::kUnavailable,
          fmt::format("{}: {}", what, lower(std::system_category().message(error))),
          {}};
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("{} is too long for the path of a Unix socket, which has at most {} "
                            "bytes; choose a shorter one",
                            path, sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Descriptor make_socket() {
  return Descriptor(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

// A file that somebody keeps something in must not be replaced by a socket.
Result<void> expect_socket_or_nothing(const std::string& path) {
  struct stat found{};
  if (::lstat(path.c_str(), &found) != 0 || S_ISSOCK(found.st_mode)) return {};
  return fail(ErrorCode::kInvalidConfig,
              fmt::format("{} is there and is not a socket; choose another path", path));
}

std::vector<Descriptor> descriptors_of(msghdr& header) {
  std::vector<Descriptor> found;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      found.emplace_back(fd);
    }
  }
  return found;
}

}  // namespace

MessageSocket::MessageSocket(EventLoop& loop, Descriptor socket)
    : loop_(loop), socket_(std::move(socket)) {
  if (!loop_.reactor().add(socket_.get(), EPOLLIN | EPOLLRDHUP, *this)) socket_.reset();
}

MessageSocket::~MessageSocket() {
  if (socket_.get() >= 0) loop_.reactor().remove(socket_.get(), *this);
}

void MessageSocket::on_ready(std::uint32_t) {
  wake_.set();
}

Result<void> MessageSocket::send(const std::string& text, const std::vector<int>& descriptors) {
  IM_ASSERT(text.size() <= kTextMax && descriptors.size() <= kDescriptorsMax);
  iovec body{const_cast<char*>(text.data()), text.size()};
  msghdr header{};
  header.msg_iov = &body;
  header.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, kControlBytes> control{};
  const std::size_t bytes = descriptors.size() * sizeof(int);
  if (!descriptors.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(bytes);
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(bytes);
    std::memcpy(CMSG_DATA(part), descriptors.data(), bytes);
  }
  if (::sendmsg(socket_.get(), &header, MSG_NOSIGNAL) >= 0) return {};
  return std::unexpected(trouble("it cannot be told", errno));
}

std::optional<Result<Message>> MessageSocket::try_receive() {
  std::string text(kTextMax, '\0');
  iovec body{text.data(), text.size()};
  alignas(cmsghdr) std::array<char, kControlBytes> control{};
  msghdr header{};
  header.msg_iov = &body;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const ssize_t got = ::recvmsg(socket_.get(), &header, MSG_CMSG_CLOEXEC);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
  if (got < 0) return std::unexpected(trouble("it cannot be heard", errno));
  Message message;
  message.descriptors = descriptors_of(header);
  if (got == 0) return fail(ErrorCode::kUnavailable, "it has ended the conversation");
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    return fail(ErrorCode::kUpstreamBadResponse, "it says more than can be taken in");
  }
  message.text = text.substr(0, static_cast<std::size_t>(got));
  return message;
}

port::Task<Result<Message>> MessageSocket::receive(Instant deadline) {
  port::Timer timer([this] { wake_.set(); });
  loop_.arm(timer, deadline);
  while (true) {
    auto got = try_receive();
    if (got) co_return std::move(*got);
    if (loop_.now() >= deadline) {
      co_return fail(ErrorCode::kDeadlineExceeded, "it does not answer");
    }
    co_await wake_.wait();
  }
}

Result<Message> MessageSocket::receive_blocking(Duration at_most) {
  const Instant deadline = loop_.exact_now() + at_most;
  while (true) {
    auto got = try_receive();
    if (got) return std::move(*got);
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - loop_.exact_now());
    if (left.count() <= 0) return fail(ErrorCode::kDeadlineExceeded, "it does not answer");
    pollfd waiting{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    ::poll(&waiting, 1, static_cast<int>(left.count()));
  }
}

ucred MessageSocket::peer() const {
  ucred found{.pid = 0, .uid = static_cast<uid_t>(-1), .gid = static_cast<gid_t>(-1)};
  socklen_t size = sizeof found;
  ::getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &found, &size);
  return found;
}

MessageListener::MessageListener(EventLoop& loop, Descriptor socket)
    : loop_(loop), socket_(std::move(socket)) {
  if (!loop_.reactor().add(socket_.get(), EPOLLIN, *this)) socket_.reset();
}

MessageListener::~MessageListener() {
  close();
}

// Bound beside the path and renamed over it, so that the path always leads to somebody.
Result<std::unique_ptr<MessageListener>> MessageListener::open(EventLoop& loop,
                                                               const std::string& path) {
  IM_TRY(expect_socket_or_nothing(path));
  const std::string beside = fmt::format("{}.{}", path, ::getpid());
  const auto address = address_of(beside);
  if (!address) return std::unexpected(address.error());
  Descriptor socket = make_socket();
  if (socket.get() < 0) return std::unexpected(trouble("no socket", errno));
  IM_TRY(expect_socket_or_nothing(beside));
  ::unlink(beside.c_str());  // of an earlier process with this number
  const auto* raw = reinterpret_cast<const sockaddr*>(&*address);
  if (::bind(socket.get(), raw, sizeof *address) != 0) {
    return std::unexpected(trouble(fmt::format("cannot make {}", beside), errno));
  }
  // Nobody can connect before it listens.
  if (::chmod(beside.c_str(), 0600) != 0 || ::listen(socket.get(), kBacklog) != 0 ||
      ::rename(beside.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(beside.c_str());
    return std::unexpected(trouble(fmt::format("cannot make {}", path), error));
  }
  return std::unique_ptr<MessageListener>(new MessageListener(loop, std::move(socket)));
}

void MessageListener::on_ready(std::uint32_t) {
  wake_.set();
}

port::Task<std::unique_ptr<MessageSocket>> MessageListener::accept() {
  while (socket_.get() >= 0) {
    const int fd = ::accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) co_return std::make_unique<MessageSocket>(loop_, Descriptor(fd));
    co_await wake_.wait();
  }
  co_return nullptr;
}

void MessageListener::close() {
  if (socket_.get() < 0) return;
  loop_.reactor().remove(socket_.get(), *this);
  socket_.reset();
  wake_.set();
}

Result<std::unique_ptr<MessageSocket>> call_at(EventLoop& loop, const std::string& path) {
  const auto address = address_of(path);
  if (!address) return std::unexpected(address.error());
  IM_TRY(expect_socket_or_nothing(path));
  Descriptor socket = make_socket();
  if (socket.get() < 0) return std::unexpected(trouble("no socket", errno));
  const auto* raw = reinterpret_cast<const sockaddr*>(&*address);
  if (::connect(socket.get(), raw, sizeof *address) == 0) {
    return std::make_unique<MessageSocket>(loop, std::move(socket));
  }
  if (errno == ENOENT || errno == ECONNREFUSED) return nullptr;
  if (errno == EPROTOTYPE) {
    return fail(ErrorCode::kUnavailable, "another kind of socket is there; choose another path");
  }
  return std::unexpected(trouble("it cannot be called", errno));
}

}  // namespace infermesh::io
