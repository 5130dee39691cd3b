#include "control/certificates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace infermesh::control {
namespace {

using testing::HasSubstr;

constexpr WallTime kNow = WallTime(std::chrono::sys_days(std::chrono::year(2026) / 11 / 24));

std::vector<Problem> problems_of(Duration left,
                                 const std::optional<CertificateRefusal>& refusal = {}) {
  const CertificateInfo certificate{"/etc/tls.pem", "CN = mesh", "mesh.example", kNow + left};
  std::vector<Problem> problems;
  add_certificate_problems({&certificate, 1}, refusal, kNow, problems);
  return problems;
}

TEST(Certificates, ALongWayFromTheirEndAreNoProblem) {
  EXPECT_TRUE(problems_of(15 * 24h).empty());
}

TEST(Certificates, SoonToRunOutAreAWarningThatNamesThem) {
  const auto problems = problems_of(3 * 24h);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].severity, Severity::kWarning);
  EXPECT_EQ(problems[0].kind, "tls");
  EXPECT_EQ(problems[0].name, "/etc/tls.pem");
  EXPECT_THAT(problems[0].what, HasSubstr("mesh.example"));
  EXPECT_THAT(problems[0].what, HasSubstr("2026-11-27"));
}

TEST(Certificates, RunOutIsAnError) {
  const auto problems = problems_of(-1h);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].severity, Severity::kError);
  EXPECT_THAT(problems[0].what, HasSubstr("ran out"));
  EXPECT_EQ(problems[0].since, Duration(1h));
}

TEST(Certificates, ARefusedChangeIsAnErrorAndComesBeforeWarnings) {
  const auto problems =
      problems_of(3 * 24h, CertificateRefusal{"private key k.pem: not its key", kNow - 5s});
  ASSERT_EQ(problems.size(), 2u);
  EXPECT_EQ(problems[0].severity, Severity::kError);
  EXPECT_THAT(problems[0].what, HasSubstr("not its key"));
  EXPECT_EQ(problems[0].since, Duration(5s));
}

}  // namespace
}  // namespace infermesh::control
