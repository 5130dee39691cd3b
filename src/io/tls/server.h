// TlsServer: what a TLS listener shows and asks for: certificates, keys, client CAs. load() reads
// the files anew and changes to them in one step; connections that stand keep what they began with.
// load() and certificates() on one thread, make() on any.
//
// Session tickets are sealed with keys of this process, new ones at every load(): a client that
// comes back on another shard resumes, and none does across a change of certificates or CAs.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "io/tls/openssl.h"

namespace infermesh::io::tls {

enum class ClientCertificate : std::uint8_t { kNone, kOptional, kRequired };

struct ServerOptions {
  std::vector<KeyPairFiles> pairs;  // the first is shown to who asks for no name that is here
  std::string client_ca;            // needed unless `client` is kNone
  ClientCertificate client = ClientCertificate::kNone;
  TlsVersion min_version = TlsVersion::k13;
  std::vector<std::string> protocols;  // ALPN, the best first

  std::vector<std::string> files() const;  // all that load() reads
};

struct CertificateFacts {
  std::string file;
  std::string subject;
  std::string names;
  WallTime not_before{};
  WallTime not_after{};
};

class TlsServer {
 public:
  explicit TlsServer(ServerOptions options) : options_(std::move(options)) {}

  // kInvalidConfig: which file, what is wrong, what to do; what was loaded before stays in use.
  Result<void> load(WallTime now);
  const std::vector<CertificateFacts>& certificates() const { return facts_; }
  const ServerOptions& options() const { return options_; }

  Ssl make() const;  // a new connection's state; load() has succeeded before

  struct Loaded;

 private:
  ServerOptions options_;
  std::vector<CertificateFacts> facts_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Loaded> loaded_;  // under mutex_
};

}  // namespace infermesh::io::tls
