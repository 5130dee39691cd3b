#include "io/tls/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "io/tls/testing_certs.h"

namespace infermesh::io::tls {
namespace {

using testing::HasSubstr;

WallTime now() {
  return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
}

struct ServerFiles : testing::Test {
  CertificateFolder folder;
  Signed ca = make_certificate("test CA", "", nullptr);
  Signed good = make_certificate("mesh", "DNS:mesh.example,IP:127.0.0.1", &ca);

  static std::string trouble(const ServerOptions& options) {
    TlsServer server(options);
    const auto loaded = server.load(now());
    return loaded ? "" : loaded.error().detail;
  }
  static std::string trouble(const KeyPairFiles& files) {
    return trouble(ServerOptions{{files}, "", ClientCertificate::kNone, TlsVersion::k13, {}});
  }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(folder.path(name)) << text;
    return folder.path(name);
  }
};

TEST_F(ServerFiles, AGoodPairTellsItsNamesAndEnd) {
  TlsServer server({{folder.write("a", good)}, "", ClientCertificate::kNone, TlsVersion::k13, {}});
  ASSERT_TRUE(server.load(now()));
  ASSERT_EQ(server.certificates().size(), 1u);
  const CertificateFacts& facts = server.certificates()[0];
  EXPECT_EQ(facts.names, "mesh.example, 127.0.0.1");
  EXPECT_EQ(facts.subject, "CN = mesh");
  EXPECT_GT(facts.not_after - now(), Duration(9 * 24h));
  EXPECT_LT(facts.not_after - now(), Duration(11 * 24h));
}

TEST_F(ServerFiles, WhatCannotBeUsedIsNamedWithTheNextStep) {
  const KeyPairFiles pair = folder.write("a", good);
  EXPECT_THAT(trouble({folder.path("none.crt"), pair.key}),
              AllOf(HasSubstr("none.crt"), HasSubstr("no such file")));
  EXPECT_THAT(trouble({write("bad.crt", "hello"), pair.key}),
              AllOf(HasSubstr("bad.crt"), HasSubstr("no PEM certificate")));
  EXPECT_THAT(trouble({pair.cert, write("bad.key", "hello")}),
              AllOf(HasSubstr("bad.key"), HasSubstr("no PEM private key")));
  EXPECT_THAT(trouble({pair.cert, pair.cert}), HasSubstr("no PEM private key"));
  EXPECT_THAT(trouble({pair.cert, folder.write_key("locked.key", good, "secret")}),
              HasSubstr("passphrase"));
}

TEST_F(ServerFiles, AKeyOfAnotherCertificateIsToldApart) {
  const Signed other = make_certificate("other", "DNS:other.example", &ca);
  EXPECT_THAT(trouble({folder.write("a", good).cert, folder.write("b", other).key}),
              AllOf(HasSubstr("b.key"), HasSubstr("not the key of"), HasSubstr("CN = mesh")));
}

TEST_F(ServerFiles, ACertificateThatHasRunOutIsRefused) {
  const Signed old = make_certificate("old", "DNS:old.example", &ca, -2);
  EXPECT_THAT(trouble(folder.write("old", old)),
              AllOf(HasSubstr("CN = old"), HasSubstr("run out"), HasSubstr("renew")));
}

TEST_F(ServerFiles, AClientCaThatIsNoneIsRefused) {
  ServerOptions options{{folder.write("a", good)},
                        write("ca.pem", "hello"),
                        ClientCertificate::kRequired,
                        TlsVersion::k13,
                        {}};
  EXPECT_THAT(trouble(options), AllOf(HasSubstr("client CA"), HasSubstr("ca.pem")));
}

TEST_F(ServerFiles, ARefusedLoadLeavesTheOldOneInUse) {
  const KeyPairFiles pair = folder.write("a", good);
  TlsServer server({{pair}, "", ClientCertificate::kNone, TlsVersion::k13, {}});
  ASSERT_TRUE(server.load(now()));
  std::ofstream(pair.key) << "half a file";
  EXPECT_FALSE(server.load(now()));
  EXPECT_EQ(server.certificates().at(0).subject, "CN = mesh");
  EXPECT_NE(server.make(), nullptr);
}

}  // namespace
}  // namespace infermesh::io::tls
