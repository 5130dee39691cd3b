// Certificates for tests: a CA and what it signs, made by OpenSSL in a folder of the test's own.
#pragma once

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <filesystem>
#include <string>

#include "base/assert.h"
#include "io/tls/openssl.h"

namespace infermesh::io::tls {

inline Key make_key() {
  return Key(EVP_EC_gen("P-256"));
}

struct Signed {
  Certificate certificate;
  Key key;
};

inline void add_extension(X509* certificate, int nid, const std::string& value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
  IM_ASSERT(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// `names` as in "DNS:a.example,IP:127.0.0.1"; empty: a CA. `by` null: signed by itself.
inline Signed make_certificate(const std::string& subject, const std::string& names,
                               const Signed* by, long days = 10) {
  Signed made{Certificate(X509_new()), make_key()};
  X509* certificate = made.certificate.get();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), static_cast<long>(subject.size()) + 7);
  X509_time_adj_ex(X509_getm_notBefore(certificate), days < 0 ? -30 : -1, 0, nullptr);
  X509_time_adj_ex(X509_getm_notAfter(certificate), static_cast<int>(days), 0, nullptr);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(subject.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate,
                       X509_get_subject_name(by == nullptr ? certificate : by->certificate.get()));
  X509_set_pubkey(certificate, made.key.get());
  add_extension(certificate, NID_basic_constraints,
                names.empty() ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (!names.empty()) add_extension(certificate, NID_subject_alt_name, names);
  X509_sign(certificate, by == nullptr ? made.key.get() : by->key.get(), EVP_sha256());
  return made;
}

// A folder that is gone after the test.
class CertificateFolder {
 public:
  CertificateFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tls.XXXXXX").string();
    IM_ASSERT(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~CertificateFolder() { std::filesystem::remove_all(path_); }
  CertificateFolder(const CertificateFolder&) = delete;
  CertificateFolder& operator=(const CertificateFolder&) = delete;

  std::string path(const std::string& name) const { return path_ / name; }

  std::string write_certificate(const std::string& name, const Signed& made) const {
    const Bio file(BIO_new_file(path(name).c_str(), "wb"));
    PEM_write_bio_X509(file.get(), made.certificate.get());
    return path(name);
  }
  std::string write_key(const std::string& name, const Signed& made,
                        const char* passphrase = nullptr) const {
    const Bio file(BIO_new_file(path(name).c_str(), "wb"));
    PEM_write_bio_PrivateKey(file.get(), made.key.get(),
                             passphrase == nullptr ? nullptr : EVP_aes_128_cbc(), nullptr, 0,
                             nullptr, const_cast<char*>(passphrase));
    return path(name);
  }
  KeyPairFiles write(const std::string& name, const Signed& made) const {
    return {write_certificate(name + ".crt", made), write_key(name + ".key", made)};
  }

 private:
  std::filesystem::path path_;
};

}  // namespace infermesh::io::tls
