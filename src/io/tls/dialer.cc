#include "io/tls/dialer.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <array>
#include <cstdlib>

#include "base/assert.h"
#include "io/address.h"
#include "io/tls/tls_stream.h"

namespace infermesh::io::tls {

struct Dialer::Client {
  Context context;
  std::array<FileStamp, 3> stamps;
  Instant looked_at{};
  std::map<std::string, Session> sessions;  // by server and name
};

namespace {

using Client = Dialer::Client;

constexpr Duration kLookEvery = 1s;  // whether files have changed

// Where the systems keep the CAs that they trust, when it is not where this OpenSSL was built to
// look.
constexpr std::array<const char*, 5> kBundles{
    "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem"};

// What the session callback finds on a connection.
struct Dialed {
  std::shared_ptr<Client> client;
  std::string server;
  std::string name;   // that its certificate must have
  std::string names;  // of a certificate that was not taken
  Asked asked = Asked::kNothing;
};

// Takes the session over when it answers 1.
int keep_session(SSL* ssl, SSL_SESSION* session) {
  const auto* dialed = static_cast<const Dialed*>(SSL_get_app_data(ssl));
  auto& sessions = dialed->client->sessions;
  if (sessions.size() >= Dialer::kSessionsMax && !sessions.contains(dialed->server)) {
    sessions.erase(sessions.begin());
  }
  sessions[dialed->server].reset(session);
  return 1;
}

int note_refusal(int taken, X509_STORE_CTX* chain) {
  if (taken == 1) return 1;
  const auto* ssl = static_cast<const SSL*>(
      X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()));
  X509* certificate = X509_STORE_CTX_get0_cert(chain);
  if (certificate != nullptr) {
    static_cast<Dialed*>(SSL_get_app_data(ssl))->names = names_of(certificate);
  }
  return 0;
}

// Called only when there is no certificate of ours to show.
int note_asked(SSL* ssl, X509**, EVP_PKEY**) {
  static_cast<Dialed*>(SSL_get_app_data(ssl))->asked = Asked::kCertificate;
  return 0;
}

std::string advice_of(const Dialed& dialed, Trouble trouble) {
  trouble.names = dialed.names;
  return advice_on(trouble, dialed.name, dialed.asked);
}

bool exists(const char* path) {
  struct stat found{};
  return ::stat(path, &found) == 0;
}

void trust_system(SSL_CTX* context) {
  SSL_CTX_set_default_verify_paths(context);
  const bool named =
      std::getenv("SSL_CERT_FILE") != nullptr || std::getenv("SSL_CERT_DIR") != nullptr;
  if (named || exists(X509_get_default_cert_dir())) return;
  for (const char* bundle : kBundles) {
    if (exists(bundle) && SSL_CTX_load_verify_file(context, bundle) == 1) break;
  }
  ERR_clear_error();
}

Result<Context> make_client_context(const TlsOptions& options) {
  Context context = make_context(Role::kClient, options.min_version);
  SSL_CTX* raw = context.get();
  ERR_clear_error();
  if (options.trust == TlsTrust::kVerified) {
    SSL_CTX_set_verify(raw, SSL_VERIFY_PEER, note_refusal);
    if (options.ca_file.empty()) {
      trust_system(raw);
    } else if (SSL_CTX_load_verify_file(raw, options.ca_file.c_str()) != 1) {
      return fail(ErrorCode::kUpstreamConnectFailed,
                  fmt::format("tls_ca_file {}: no PEM certificate can be read of it ({})",
                              options.ca_file, take_reason()));
    }
  }
  if (!options.client_cert.empty()) {
    const auto used = use_key_pair(raw, {options.client_cert, options.client_key});
    if (!used) return fail(ErrorCode::kUpstreamConnectFailed, used.error().detail);
  }
  SSL_CTX_set_client_cert_cb(raw, note_asked);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(raw, keep_session);
  return context;
}

std::array<FileStamp, 3> stamps_of(const TlsOptions& options) {
  return {stamp_of(options.ca_file), stamp_of(options.client_cert), stamp_of(options.client_key)};
}

// The name that the certificate must have; an address is looked for as an address.
void expect_name(SSL* ssl, const std::string& name) {
  if (SocketAddress::from_literal(name, 0)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str());
    return;
  }
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  SSL_set1_host(ssl, name.c_str());
  SSL_set_tlsext_host_name(ssl, name.c_str());
}

Ssl make_ssl(std::shared_ptr<Client> client, const port::Target& target, const std::string& name) {
  SSL* ssl = SSL_new(client->context.get());
  IM_ASSERT(ssl != nullptr);  // out of memory
  SSL_set_connect_state(ssl);
  expect_name(ssl, name);
  const std::string_view protocols =
      target.protocol == port::Protocol::kHttp2 ? "\x02h2" : "\x08http/1.1";
  SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(protocols.data()),
                      static_cast<unsigned>(protocols.size()));
  auto dialed = std::make_shared<Dialed>(std::move(client));
  dialed->name = name;
  dialed->server = fmt::format("{} {} {}", target.host, target.port, name);
  SSL_set_app_data(ssl, dialed.get());
  const auto& sessions = dialed->client->sessions;
  if (const auto last = sessions.find(dialed->server); last != sessions.end()) {
    SSL_set_session(ssl, last->second.get());
  }
  return {ssl, FreeSsl{std::move(dialed)}};
}

// Who chooses nothing speaks HTTP/1.1.
bool chose_protocol(const SSL* ssl, port::Protocol wanted) {
  if (wanted != port::Protocol::kHttp2) return true;
  const unsigned char* chosen = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &chosen, &size);
  return std::string_view(reinterpret_cast<const char*>(chosen), size) == "h2";
}

}  // namespace

Result<std::shared_ptr<Dialer::Client>> Dialer::client_for(const TlsOptions& options) {
  const Instant now = loop_.now();
  const auto known = clients_.find(options);
  if (known != clients_.end()) {
    Client& client = *known->second;
    if (now - client.looked_at < kLookEvery) return known->second;
    client.looked_at = now;
    if (stamps_of(options) == client.stamps) return known->second;
  }
  if (clients_.size() >= kContextsMax) {
    std::erase_if(clients_, [](const auto& entry) { return entry.second.use_count() == 1; });
  }
  if (clients_.size() >= kContextsMax) {
    return fail(ErrorCode::kUpstreamConnectFailed,
                fmt::format("{} different sets of TLS options are in use already", kContextsMax));
  }
  const auto stamps = stamps_of(options);
  auto context = make_client_context(options);
  if (!context) return std::unexpected(context.error());
  auto client = std::make_shared<Client>(std::move(*context), stamps, now);
  clients_.insert_or_assign(options, client);
  return client;
}

port::Task<Result<port::StreamPtr>> Dialer::secure(port::StreamPtr plain,
                                                   const port::Target& target, Instant deadline) {
  const std::string host = target.host, where = fmt::format("{}:{}", target.host, target.port);
  const auto client = client_for(*target.tls);
  if (!client) {
    co_return fail(ErrorCode::kUpstreamConnectFailed,
                   fmt::format("{}: {}", where, client.error().detail));
  }
  const std::string name = target.tls->server_name.empty() ? host : target.tls->server_name;
  auto stream = std::make_unique<TlsStream>(loop_.reactor(), std::move(plain),
                                            make_ssl(*client, target, name));
  // The connection keeps it.
  const auto* dialed = static_cast<const Dialed*>(SSL_get_app_data(stream->ssl()));
  stream->set_advise([dialed](const Trouble& trouble) { return advice_of(*dialed, trouble); });
  port::Timer timer([&stream] { stream->stop_handshake(); });
  loop_.arm(timer, deadline);
  const port::IoStatus end = co_await stream->handshake();
  if (end == port::IoStatus::kOk && chose_protocol(stream->ssl(), target.protocol))
    co_return std::move(stream);
  if (end == port::IoStatus::kOk) {
    co_return fail(ErrorCode::kUpstreamConnectFailed,
                   fmt::format("{}: speaks TLS, but no HTTP/2 over it (ALPN h2); is that the port "
                               "where it takes gRPC?",
                               where));
  }
  const std::string why = end == port::IoStatus::kCancelled
                              ? "the TLS handshake timed out; does it speak TLS there?"
                              : advice_of(*dialed, stream->last_trouble());
  co_return fail(ErrorCode::kUpstreamConnectFailed, fmt::format("{}: {}", where, why));
}

}  // namespace infermesh::io::tls
