// Dialer: TLS to servers, for one loop: contexts by options, made when first wanted and again when
// their files changed, and the latest session with each server, so that the next handshake with it
// needs no certificate. Owned by its loop, on its thread.
//
// Bounds: kContextsMax options in use at once, kSessionsMax servers remembered for each.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "io/event_loop.h"
#include "io/tls/openssl.h"

namespace infermesh::io::tls {

class Dialer final : public TlsDialer {
 public:
  static constexpr std::size_t kContextsMax = 1024;
  static constexpr std::size_t kSessionsMax = 4096;

  explicit Dialer(EventLoop& loop) : loop_(loop) {}

  port::Task<Result<port::StreamPtr>> secure(port::StreamPtr plain, const port::Target& target,
                                             Instant deadline) override;

  struct Client;  // what connections with the same options share

 private:
  Result<std::shared_ptr<Client>> client_for(const TlsOptions& options);

  EventLoop& loop_;
  std::map<TlsOptions, std::shared_ptr<Client>> clients_;
};

}  // namespace infermesh::io::tls
