// SocketStream: port::Stream over one TCP socket of an EventLoop. Reads and writes go straight to
// recv and sendmsg. What the kernel has told is remembered, so a wait is no system call.
#pragma once

#include <cstdint>

#include "io/reactor.h"
#include "port/stream.h"

namespace infermesh::io {

class SocketStream final : public port::Stream, private Reactor::Watcher {
 public:
  // Takes over a non-blocking TCP socket whose connect() has been called; sets TCP_NODELAY.
  SocketStream(Reactor& reactor, int fd);
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

  int socket_error() const;  // SO_ERROR: how connect() ended; 0: connected

 private:
  using Callback = std::function<void(port::IoStatus)>;
  struct Side {  // one direction
    bool ready =
        false;  // since the last read that emptied the socket, the last write that filled it
    bool cancelled = false;
    Callback waiting;

    bool due() const { return waiting && (ready || cancelled); }
  };
  void on_ready(std::uint32_t events) override;
  void when(Side& side, Callback callback);
  port::Task<port::IoStatus> until(Side& side);
  void release();

  Reactor& reactor_;
  int fd_;
  bool ended_ = false;  // FIN or an error has come: reading never waits any more
  Side read_, write_;
};

}  // namespace infermesh::io
