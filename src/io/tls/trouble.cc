#include "io/tls/trouble.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>

namespace infermesh::io::tls {
namespace {

constexpr std::string_view kWantsCertificate =
    "it wants a client certificate; set tls_client_cert and tls_client_key";

std::string reason_of(unsigned long code) {
  const char* reason = ERR_reason_error_string(code);
  return reason == nullptr ? "TLS failed" : reason;
}

std::string advice_on_certificate(const Trouble& trouble, const std::string& name) {
  const std::string why = X509_verify_cert_error_string(trouble.verify);
  switch (trouble.verify) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return fmt::format(
          "its certificate is for {}, not for {}; set tls_server_name to a name it has",
          trouble.names, name);
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return fmt::format("{}; renew it there, or set the clock here", why);
    default:
      return fmt::format(
          "its certificate is not trusted: {}; set tls_ca_file to the certificate of the CA that "
          "signed it",
          why);
  }
}

}  // namespace

Trouble take_trouble(const SSL* ssl) {
  Trouble trouble;
  trouble.code = ERR_peek_error();
  trouble.verify = SSL_get_verify_result(ssl);
  trouble.shaken = SSL_is_init_finished(ssl) == 1;
  ERR_clear_error();
  return trouble;
}

std::string text_of(const Trouble& trouble) {
  if (ERR_GET_REASON(trouble.code) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    return fmt::format("the peer's certificate was not taken: {}",
                       X509_verify_cert_error_string(trouble.verify));
  }
  if (trouble.ended || trouble.code == 0) return "the connection ended";
  return reason_of(trouble.code);
}

std::string advice_on(const Trouble& trouble, const std::string& name, Asked asked) {
  switch (ERR_GET_REASON(trouble.code)) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      return advice_on_certificate(trouble, name);
    case SSL_R_WRONG_VERSION_NUMBER:
      return "it does not speak TLS there; use http:// in its url";
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_UNSUPPORTED_PROTOCOL:
      return "it speaks no TLS that is new enough; tls_min_version: \"1.2\" allows an older one";
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return std::string(kWantsCertificate);
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
      return fmt::format("it does not take our client certificate: {}; see tls_client_cert",
                         reason_of(trouble.code));
    default:
      break;
  }
  // Some servers end the connection without a word.
  if (asked == Asked::kCertificate && !trouble.heard) return std::string(kWantsCertificate);
  if (trouble.shaken) return {};
  if (trouble.ended || trouble.code == 0) {
    return "it ended the connection during the TLS handshake; does it speak TLS there?";
  }
  return fmt::format("the TLS handshake failed: {}", reason_of(trouble.code));
}

}  // namespace infermesh::io::tls
