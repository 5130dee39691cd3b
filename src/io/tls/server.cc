#include "io/tls/server.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/assert.h"
#include "base/text.h"

namespace infermesh::io::tls {

// Each pair has a context of its own; connections begin on the first.
struct TlsServer::Loaded {
  std::vector<Context> contexts;
  std::string protocols;  // as ALPN writes them: a length before each
};

namespace {

using Loaded = TlsServer::Loaded;

int choose_certificate(SSL* ssl, int*, void* loaded) {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return SSL_TLSEXT_ERR_OK;
  for (const Context& context : static_cast<const Loaded*>(loaded)->contexts) {
    X509* certificate = SSL_CTX_get0_certificate(context.get());
    if (X509_check_host(certificate, name, 0, 0, nullptr) != 1) continue;
    SSL_set_SSL_CTX(ssl, context.get());
    break;
  }
  return SSL_TLSEXT_ERR_OK;
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned offered_size, void* loaded) {
  const std::string& own = static_cast<const Loaded*>(loaded)->protocols;
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(own.data()),
                            static_cast<unsigned>(own.size()), offered,
                            offered_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

Result<void> check_dates(const CertificateFacts& facts, WallTime now) {
  const auto refuse = [&](std::string_view what, WallTime when) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("certificate {} ({}) {} {}; renew it, or set the clock", facts.file,
                            facts.subject, what, format_wall_time(when)));
  };
  if (now > facts.not_after) return refuse("has run out at", facts.not_after);
  if (now < facts.not_before) return refuse("is not valid before", facts.not_before);
  return {};
}

Result<void> use_client_ca(SSL_CTX* context, const ServerOptions& options) {
  if (options.client == ClientCertificate::kNone) return {};
  ERR_clear_error();
  STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(options.client_ca.c_str());
  if (names == nullptr || SSL_CTX_load_verify_file(context, options.client_ca.c_str()) != 1) {
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("client CA {}: no PEM certificate can be read of it ({})",
                            options.client_ca, take_reason()));
  }
  SSL_CTX_set_client_CA_list(context, names);
  const bool required = options.client == ClientCertificate::kRequired;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                     nullptr);
  return {};
}

}  // namespace

std::vector<std::string> ServerOptions::files() const {
  std::vector<std::string> all;
  for (const KeyPairFiles& pair : pairs) {
    all.push_back(pair.cert);
    all.push_back(pair.key);
  }
  if (!client_ca.empty()) all.push_back(client_ca);
  return all;
}

Result<void> TlsServer::load(WallTime now) {
  auto loaded = std::make_shared<Loaded>();
  std::vector<CertificateFacts> facts;
  for (const std::string& protocol : options_.protocols) {
    loaded->protocols += static_cast<char>(protocol.size()) + protocol;
  }
  for (const KeyPairFiles& pair : options_.pairs) {
    Context context = make_context(Role::kServer, options_.min_version);
    const auto certificate = use_key_pair(context.get(), pair);
    if (!certificate) return std::unexpected(certificate.error());
    facts.push_back({pair.cert, subject_of(certificate->get()), names_of(certificate->get()),
                     not_before(certificate->get()), not_after(certificate->get())});
    IM_TRY(check_dates(facts.back(), now));
    IM_TRY(use_client_ca(context.get(), options_));
    loaded->contexts.push_back(std::move(context));
  }
  IM_ASSERT(!loaded->contexts.empty());
  SSL_CTX* first = loaded->contexts.front().get();
  SSL_CTX_set_session_cache_mode(first, SSL_SESS_CACHE_OFF);  // tickets hold all there is
  constexpr unsigned char kWhere[] = "infermesh";
  for (const Context& context : loaded->contexts) {
    SSL_CTX_set_session_id_context(context.get(), kWhere, sizeof kWhere - 1);
  }
  SSL_CTX_set_tlsext_servername_callback(first, choose_certificate);
  SSL_CTX_set_tlsext_servername_arg(first, loaded.get());
  if (!loaded->protocols.empty()) SSL_CTX_set_alpn_select_cb(first, choose_protocol, loaded.get());
  facts_ = std::move(facts);
  const std::lock_guard lock(mutex_);
  loaded_ = std::move(loaded);
  return {};
}

Ssl TlsServer::make() const {
  std::shared_ptr<const Loaded> loaded;
  {
    const std::lock_guard lock(mutex_);
    loaded = loaded_;
  }
  IM_ASSERT(loaded != nullptr);
  SSL* ssl = SSL_new(loaded->contexts.front().get());
  IM_ASSERT(ssl != nullptr);  // out of memory
  SSL_set_accept_state(ssl);
  return {ssl, FreeSsl{std::move(loaded)}};
}

}  // namespace infermesh::io::tls
