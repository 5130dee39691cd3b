#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/text.h"
#include "io/event_loop.h"
#include "io/socket_stream.h"

namespace infermesh::io {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using Acceptor = asio::basic_socket_acceptor<tcp, port::Executor>;
using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable_t<port::Executor>{});
constexpr int kBacklog = 4096;

std::string text_of(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  if (endpoint.address().is_v6()) return fmt::format("[{}]:{}", address, endpoint.port());
  return fmt::format("{}:{}", address, endpoint.port());
}

class SocketListener final : public port::Listener {
 public:
  SocketListener(Acceptor acceptor, tcp::endpoint bound)
      : acceptor_(std::move(acceptor)), address_(text_of(bound)) {}

  port::Task<Result<port::StreamPtr>> accept() override {
    auto [error, socket] = co_await acceptor_.async_accept(kTuple);
    if (!error) co_return std::make_unique<SocketStream>(Socket(std::move(socket)));
    const auto code = acceptor_.is_open() ? ErrorCode::kInternal : ErrorCode::kUnavailable;
    co_return fail(code, fmt::format("accept on {}: {}", address_, error.message()));
  }

  void close() override {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
  }

  std::string address() const override { return address_; }

 private:
  Acceptor acceptor_;
  std::string address_;
};

}  // namespace

Result<std::unique_ptr<port::Listener>> listen(EventLoop& loop, const std::string& host,
                                               std::uint16_t port, Sharing sharing) {
  boost::system::error_code error;
  const auto address =
      host.empty() ? asio::ip::address(asio::ip::address_v6::any())
                   : asio::ip::make_address(host == "localhost" ? "127.0.0.1" : host, error);
  if (error) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("\"{}\" is not an address to listen on; write an IP address", host));
  }
  const tcp::endpoint wanted(address, port);
  Acceptor acceptor(loop.executor());
  acceptor.open(wanted.protocol(), error);
  if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error && sharing == Sharing::kShared) acceptor.set_option(ReusePort(true), error);
  if (!error) acceptor.bind(wanted, error);
  if (!error) acceptor.listen(kBacklog, error);
  if (error) {
    return fail(ErrorCode::kUnavailable, fmt::format("cannot listen on {}: {}; is another process "
                                                     "using it? choose another port, or 0 for any",
                                                     text_of(wanted), lower(error.message())));
  }
  const tcp::endpoint bound = acceptor.local_endpoint();
  return std::make_unique<SocketListener>(std::move(acceptor), bound);
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
