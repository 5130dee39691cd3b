// TlsKeeper: the certificates of the inference listener: loads them, looks at their files every
// second, takes them anew when they have changed and stand still, and knows what an operator should
// know of them. On the control loop; server() on any.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/settings.gen.h"
#include "control/certificates.h"
#include "io/tls/server.h"
#include "port/loop.h"

namespace infermesh::app {

// What the settings say; nothing when `listen` is plain. kInvalidConfig: they contradict each
// other.
Result<std::optional<io::tls::ServerOptions>> tls_server_options(const config::Settings& settings);

class TlsKeeper {
 public:
  // What became of files that had changed.
  using Reloaded = std::function<void(const Result<void>& result)>;

  TlsKeeper(port::Loop& loop, io::tls::ServerOptions options, Reloaded reloaded);

  Result<void> start();  // loads, then watches
  void stop();
  void reload();  // now, whether files look changed or not

  const io::tls::TlsServer& server() const { return server_; }
  std::vector<control::CertificateInfo> certificates() const;
  const std::optional<control::CertificateRefusal>& refusal() const { return refusal_; }

 private:
  using Stamps = std::vector<io::tls::FileStamp>;
  Stamps stamps() const;
  void look();

  port::Loop& loop_;
  io::tls::TlsServer server_;
  Reloaded reloaded_;
  port::Timer timer_;
  Stamps judged_;    // as they were loaded, or refused
  Stamps settling_;  // a change seen once: the other file of the pair may be about to follow
  std::optional<control::CertificateRefusal> refusal_;
};

}  // namespace infermesh::app
