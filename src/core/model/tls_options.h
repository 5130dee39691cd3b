// TlsOptions: how a connection to a server is made safe: whom to believe, and who we are. A plain
// value; file names are read where the connection is made (io/tls), so a changed file counts from
// the next connection on.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace infermesh {

enum class TlsVersion : std::uint8_t { k13, k12 };

enum class TlsTrust : std::uint8_t {
  kVerified,  // its certificate leads to a trusted CA and names it
  kAnyone,    // whoever answers is believed
};

struct TlsOptions {
  std::string ca_file;      // PEM; empty: the CAs that the system trusts
  std::string client_cert;  // PEM chain, with its key; empty: none is shown
  std::string client_key;
  std::string server_name;  // that its certificate must have; empty: the host connected to
  TlsVersion min_version = TlsVersion::k13;
  TlsTrust trust = TlsTrust::kVerified;

  auto operator<=>(const TlsOptions&) const = default;
};

}  // namespace infermesh
