#include "control/certificates.h"

#include <fmt/format.h>

#include <algorithm>

namespace infermesh::control {
namespace {

constexpr std::string_view kNext = "renew the files; they are read again by themselves";

Problem problem_of(const CertificateInfo& certificate, Duration left) {
  const std::string when = format_wall_time(certificate.expires);
  if (left <= Duration::zero()) {
    return {Severity::kError,
            "tls",
            certificate.file,
            fmt::format("the certificate ({}) ran out at {}: clients refuse it", certificate.names,
                        when),
            std::string(kNext),
            -left};
  }
  return {Severity::kWarning,
          "tls",
          certificate.file,
          fmt::format("the certificate ({}) runs out in {}, at {}", certificate.names,
                      human_duration(left), when),
          std::string(kNext),
          std::nullopt};
}

}  // namespace

void add_certificate_problems(std::span<const CertificateInfo> certificates,
                              const std::optional<CertificateRefusal>& refusal, WallTime now,
                              std::vector<Problem>& problems) {
  for (const CertificateInfo& certificate : certificates) {
    const Duration left = certificate.expires - now;
    if (left < kCertificateWarnBefore) problems.push_back(problem_of(certificate, left));
  }
  if (refusal) {
    problems.push_back({Severity::kError, "tls", "",
                        fmt::format("changed files refused, the old ones stay: {}", refusal->why),
                        "put a certificate and its key there that belong together",
                        std::max(Duration::zero(), now - refusal->at)});
  }
  std::stable_sort(problems.begin(), problems.end(),
                   [](const Problem& a, const Problem& b) { return a.severity < b.severity; });
}

}  // namespace infermesh::control
