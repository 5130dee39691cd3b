// OpenSSL's handles with owners, and what it says about failures. Any thread.
#pragma once

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "core/model/tls_options.h"

namespace infermesh::io::tls {

struct Free {
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using Session = std::unique_ptr<SSL_SESSION, Free>;
using Certificate = std::unique_ptr<X509, Free>;
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Bio = std::unique_ptr<BIO, Free>;

using Context = std::shared_ptr<SSL_CTX>;

// One connection's state. It keeps what its callbacks look at.
struct FreeSsl {
  std::shared_ptr<const void> keep;
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using Ssl = std::unique_ptr<SSL, FreeSsl>;

enum class Role : std::uint8_t { kServer, kClient };

// What both sides have in common: versions, ciphers, and that an idle connection holds no buffers.
Context make_context(Role role, TlsVersion oldest);

// "no start line"; empties this thread's error queue.
std::string take_reason();

// Reads a certificate with its chain, and its key, into `context`. kInvalidConfig names the file,
// what is wrong with it and what to do.
struct KeyPairFiles {
  std::string cert;
  std::string key;
};
Result<Certificate> use_key_pair(SSL_CTX* context, const KeyPairFiles& files);

std::string subject_of(const X509* certificate);  // "CN = gpu1"
std::string names_of(X509* certificate);          // "gpu1.example, 10.0.0.7"; "no name" without any
WallTime not_before(const X509* certificate);
WallTime not_after(const X509* certificate);

// A file as it was: what differs when it was changed. A file that is not there is equal to itself.
struct FileStamp {
  std::int64_t size = -1, seconds = 0, nanoseconds = 0;
  std::uint64_t inode = 0;
  bool operator==(const FileStamp&) const = default;
};
FileStamp stamp_of(const std::string& path);

}  // namespace infermesh::io::tls
