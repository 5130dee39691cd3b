#include "app/tls_keeper.h"

#include <fmt/format.h>

namespace infermesh::app {
namespace {

using io::tls::ClientCertificate;
using io::tls::ServerOptions;

constexpr Duration kLookEvery = 1s;

}  // namespace

Result<std::optional<ServerOptions>> tls_server_options(const config::Settings& settings) {
  const std::size_t count = settings.tls_cert.size();
  if (count != settings.tls_key.size()) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("tls_cert names {} files and tls_key {}; each certificate needs its "
                            "key, in the same order",
                            count, settings.tls_key.size()));
  }
  if (count == 0 && !settings.tls_client_ca.empty()) {
    return fail(ErrorCode::kInvalidConfig,
                "tls_client_ca is set without tls_cert; clients show certificates only where TLS "
                "is spoken, so add tls_cert and tls_key");
  }
  if (count == 0) return std::nullopt;
  ServerOptions options;
  for (std::size_t i = 0; i < count; ++i) {
    options.pairs.push_back({settings.tls_cert[i], settings.tls_key[i]});
  }
  options.client_ca = settings.tls_client_ca;
  if (!options.client_ca.empty()) {
    options.client = settings.tls_client_auth == config::TlsClientAuth::kRequired
                         ? ClientCertificate::kRequired
                         : ClientCertificate::kOptional;
  }
  options.min_version = settings.tls_min_version;
  options.protocols = {"h2", "http/1.1"};
  return options;
}

TlsKeeper::TlsKeeper(port::Loop& loop, ServerOptions options, Reloaded reloaded)
    : loop_(loop),
      server_(std::move(options)),
      reloaded_(std::move(reloaded)),
      timer_([this] { look(); }) {}

Result<void> TlsKeeper::start() {
  judged_ = settling_ = stamps();
  IM_TRY(server_.load(loop_.wall_now()));
  loop_.arm(timer_, loop_.now() + kLookEvery);
  return {};
}

void TlsKeeper::stop() {
  loop_.arm(timer_, kNever);
}

TlsKeeper::Stamps TlsKeeper::stamps() const {
  Stamps all;
  for (const std::string& file : server_.options().files()) {
    all.push_back(io::tls::stamp_of(file));
  }
  return all;
}

void TlsKeeper::look() {
  loop_.arm(timer_, loop_.now() + kLookEvery);
  Stamps now = stamps();
  const bool still = now == settling_;
  settling_ = now;
  if (still && now != judged_) reload();
}

void TlsKeeper::reload() {
  judged_ = settling_ = stamps();
  const auto loaded = server_.load(loop_.wall_now());
  refusal_.reset();
  if (!loaded) refusal_ = control::CertificateRefusal{loaded.error().detail, loop_.wall_now()};
  reloaded_(loaded);
}

std::vector<control::CertificateInfo> TlsKeeper::certificates() const {
  std::vector<control::CertificateInfo> all;
  for (const io::tls::CertificateFacts& facts : server_.certificates()) {
    all.push_back({facts.file, facts.subject, facts.names, facts.not_after});
  }
  return all;
}

}  // namespace infermesh::app
