#include "io/tls/openssl.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <system_error>
#include <vector>

#include "base/assert.h"
#include "base/text.h"

namespace infermesh::io::tls {
namespace {

// Forward secrecy and authenticated encryption only; TLS 1.3 has nothing else.
constexpr const char* kCiphersOf12 = "ECDHE+AESGCM:ECDHE+CHACHA20";

Error bad_file(std::string_view what, const std::string& path, std::string_view why) {
  return {ErrorCode::kInvalidConfig, fmt::format("{} {}: {}", what, path, why), {}};
}

Result<Bio> open_file(std::string_view what, const std::string& path) {
  errno = 0;
  Bio file(BIO_new_file(path.c_str(), "rb"));
  const int error = errno;
  ERR_clear_error();
  if (file) return file;
  return std::unexpected(bad_file(what, path, lower(std::system_category().message(error))));
}

Result<Certificate> read_chain(SSL_CTX* context, const std::string& path) {
  auto file = open_file("certificate", path);
  if (!file) return std::unexpected(file.error());
  Certificate leaf(PEM_read_bio_X509(file->get(), nullptr, nullptr, nullptr));
  if (!leaf) {
    ERR_clear_error();
    return std::unexpected(bad_file("certificate", path,
                                    "it has no PEM certificate; it begins with -----BEGIN "
                                    "CERTIFICATE-----, the server's own first, then its chain"));
  }
  if (SSL_CTX_use_certificate(context, leaf.get()) != 1) {
    return std::unexpected(bad_file("certificate", path, take_reason()));
  }
  SSL_CTX_clear_chain_certs(context);
  while (X509* next = PEM_read_bio_X509(file->get(), nullptr, nullptr, nullptr)) {
    if (SSL_CTX_add0_chain_cert(context, next) == 1) continue;
    X509_free(next);
    return std::unexpected(bad_file("certificate", path, take_reason()));
  }
  ERR_clear_error();  // that nothing more is there
  return leaf;
}

// Nobody is asked for a passphrase.
int no_passphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

Result<Key> read_key(const std::string& path) {
  auto file = open_file("private key", path);
  if (!file) return std::unexpected(file.error());
  bool asked = false;
  Key key(PEM_read_bio_PrivateKey(file->get(), nullptr, no_passphrase, &asked));
  ERR_clear_error();
  if (key) return key;
  return std::unexpected(
      bad_file("private key", path,
               asked ? "it has a passphrase; take it off: openssl pkey -in FILE -out NEW"
                     : "it has no PEM private key; it begins with -----BEGIN PRIVATE KEY-----"));
}

WallTime wall_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return WallTime(std::chrono::seconds(::timegm(&parts)));
}

std::string text_of(const GENERAL_NAME* name) {
  if (name->type == GEN_DNS) {
    return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
            static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName))};
  }
  if (name->type != GEN_IPADD) return {};
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET : AF_INET6;
  const void* bytes = ASN1_STRING_get0_data(name->d.iPAddress);
  return ::inet_ntop(family, bytes, text.data(), text.size()) == nullptr ? "" : text.data();
}

}  // namespace

Context make_context(Role role, TlsVersion oldest) {
  // What the machine's openssl.cnf says is for its own OpenSSL, not for this one.
  OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
  const Context context(
      SSL_CTX_new(role == Role::kServer ? TLS_server_method() : TLS_client_method()), SSL_CTX_free);
  IM_ASSERT(context != nullptr);  // out of memory
  SSL_CTX* raw = context.get();
  SSL_CTX_set_min_proto_version(raw, oldest == TlsVersion::k13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(raw, kCiphersOf12);
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(raw, 1);  // a record takes one read of the socket, not two
  return context;
}

std::string take_reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = ERR_reason_error_string(code);
  std::string text = reason == nullptr ? "unknown trouble" : reason;
  ERR_clear_error();
  return text;
}

Result<Certificate> use_key_pair(SSL_CTX* context, const KeyPairFiles& files) {
  auto certificate = read_chain(context, files.cert);
  if (!certificate) return certificate;
  const auto key = read_key(files.key);
  if (!key) return std::unexpected(key.error());
  if (X509_check_private_key(certificate->get(), key->get()) != 1) {
    ERR_clear_error();
    return std::unexpected(bad_file(
        "private key", files.key,
        fmt::format("it is not the key of certificate {} ({}); give the pair that belongs together",
                    files.cert, subject_of(certificate->get()))));
  }
  if (SSL_CTX_use_PrivateKey(context, key->get()) != 1) {
    return std::unexpected(bad_file("private key", files.key, take_reason()));
  }
  return certificate;
}

std::string subject_of(const X509* certificate) {
  const Bio text(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(text.get(), X509_get_subject_name(certificate), 0, XN_FLAG_ONELINE);
  char* data = nullptr;
  const long size = BIO_get_mem_data(text.get(), &data);
  return size <= 0 ? "no subject" : std::string(data, static_cast<std::size_t>(size));
}

std::string names_of(X509* certificate) {
  const std::unique_ptr<GENERAL_NAMES, void (*)(GENERAL_NAMES*)> names(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      GENERAL_NAMES_free);
  std::vector<std::string> texts;
  const int count = names ? sk_GENERAL_NAME_num(names.get()) : 0;
  for (int i = 0; i < count; ++i) {
    std::string text = text_of(sk_GENERAL_NAME_value(names.get(), i));
    if (!text.empty()) texts.push_back(std::move(text));
  }
  return texts.empty() ? "no name" : fmt::format("{}", fmt::join(texts, ", "));
}

WallTime not_before(const X509* certificate) {
  return wall_time(X509_get0_notBefore(certificate));
}

WallTime not_after(const X509* certificate) {
  return wall_time(X509_get0_notAfter(certificate));
}

FileStamp stamp_of(const std::string& path) {
  struct stat found{};
  if (::stat(path.c_str(), &found) != 0) return {};
  return {found.st_size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec, found.st_ino};
}

}  // namespace infermesh::io::tls
