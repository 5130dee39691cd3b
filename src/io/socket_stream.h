// SocketStream: port::Stream over one TCP socket of an EventLoop. Reads and writes go straight to
// recv and sendmsg; only the waiting is Asio's.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>

#include "port/stream.h"

namespace infermesh::io {

using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, port::Executor>;

class SocketStream final : public port::Stream {
 public:
  explicit SocketStream(Socket socket);  // connected; sets TCP_NODELAY and non-blocking
  ~SocketStream() override;

  port::IoResult try_read(std::span<char> into) override;
  port::IoResult try_write(std::span<const std::string_view> pieces) override;
  port::Task<port::IoStatus> readable() override;
  port::Task<port::IoStatus> writable() override;
  void when_readable(std::function<void(port::IoStatus)> callback) override;
  void when_writable(std::function<void(port::IoStatus)> callback) override;
  void cancel() override;
  void close(port::CloseMode mode) override;
  std::string peer() const override;

 private:
  struct Watch {  // outlives the stream while an operation is pending
    std::function<void(port::IoStatus)> callback;
  };
  void watch(Socket::wait_type type, std::shared_ptr<Watch>& slot,
             std::function<void(port::IoStatus)> callback);

  Socket socket_;
  std::shared_ptr<Watch> read_watch_;
  std::shared_ptr<Watch> write_watch_;
};

}  // namespace infermesh::io
