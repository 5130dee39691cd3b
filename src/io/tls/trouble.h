// Trouble: why a handshake or a TLS connection failed, in words that people can act on.
#pragma once

#include <cstdint>
#include <string>

#include "io/tls/openssl.h"

namespace infermesh::io::tls {

// What is known when it has happened.
struct Trouble {
  unsigned long code = 0;  // OpenSSL's, 0: none
  long verify = 0;         // X509_V_*: why the peer's certificate was not taken
  bool ended = false;      // the peer closed the connection
  bool shaken = false;     // after the handshake
  bool heard = false;      // after something was read
  std::string names;       // of the peer's certificate, where it was not taken and they are known
};

// Reads it off the connection and this thread's error queue, which it empties.
Trouble take_trouble(const SSL* ssl);

// For a log: "tlsv1 alert unknown ca".
std::string text_of(const Trouble& trouble);

// For who connects to an engine: what is wrong and what to do, one clause; empty when no more is
// known than that the connection broke. `name` is what its certificate should have.
enum class Asked : std::uint8_t { kNothing, kCertificate };  // and we have none
std::string advice_on(const Trouble& trouble, const std::string& name, Asked asked);

}  // namespace infermesh::io::tls
