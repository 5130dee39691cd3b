// TlsStream: port::Stream that speaks TLS over another stream. OpenSSL reads and writes the inner
// stream itself, so nothing is buffered here: a record is read whole before its bytes come out, and
// a record that the socket took only in part is sent on by the next write, which begins with the
// same bytes. On the loop of the inner stream.
//
// An orderly end is the peer's close_notify: kEnd. A connection that ends without it is kError,
// since an attacker may have cut it.
#pragma once

#include <optional>

#include "io/reactor.h"
#include "io/tls/trouble.h"
#include "port/stream.h"

namespace infermesh::io::tls {

class TlsStream final : public port::Stream, private Reactor::Watcher {
 public:
  TlsStream(Reactor& reactor, port::StreamPtr inner, Ssl ssl);
  ~TlsStream() override;
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // Before anything else, once: kOk, kError (last_trouble() says why) or kCancelled
  // by stop_handshake().
  port::Task<port::IoStatus> handshake();
  void stop_handshake();
  const Trouble& last_trouble() const { return trouble_; }
  SSL* ssl() const { return ssl_.get(); }
  // After a failed handshake: the first byte that came, if any did, and the stream it came on.
  std::optional<char> first_byte() const { return first_byte_; }
  port::StreamPtr give_up() { return std::move(inner_); }
  // How trouble() says what has happened; without it, as for a log.
  using Advise = std::function<std::string(const Trouble&)>;
  void set_advise(Advise advise) { advise_ = std::move(advise); }

  port::IoResult try_read(std::span<char> into) override;
  port::IoResult try_write(std::span<const std::string_view> pieces) override;
  port::Task<port::IoStatus> readable() override;
  port::Task<port::IoStatus> writable() override;
  void when_readable(std::function<void(port::IoStatus)> callback) override;
  void when_writable(std::function<void(port::IoStatus)> callback) override;
  void cancel() override;
  void close(port::CloseMode mode) override;
  std::string peer() const override { return inner_ ? inner_->peer() : "-"; }
  std::string trouble() const override;

 private:
  friend struct StreamBio;
  void on_ready(std::uint32_t events) override;
  port::IoStatus note_end(int result);

  Reactor& reactor_;
  port::StreamPtr inner_;
  Ssl ssl_;
  bool drained_ = false;  // the socket had no more at the last read of it
  bool ended_ = false;    // the peer's FIN
  bool heard_ = false;    // something was read
  bool more_ = true;      // reading may go on without the socket
  bool cancelled_ = false;
  bool stopped_ = false;  // the handshake
  bool closed_ = false, send_closed_ = false;
  std::optional<char> first_byte_;
  std::optional<port::IoStatus> end_;            // how reading ended
  std::function<void(port::IoStatus)> waiting_;  // for the next turn, when `more_`
  Trouble trouble_;
  Advise advise_;
};

}  // namespace infermesh::io::tls
