// Certificates: what an operator should know of those that the TLS listener shows. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/time.h"
#include "control/problems.h"

namespace infermesh::control {

struct CertificateInfo {
  std::string file;
  std::string subject;
  std::string names;  // "gpu1.example, 10.0.0.7"
  WallTime expires{};
};

// A change of certificate files that was not taken.
struct CertificateRefusal {
  std::string why;
  WallTime at{};
};

constexpr Duration kCertificateWarnBefore = 14 * 24h;

// Adds to `problems`, errors before warnings: those that have run out or soon will, and a refusal.
void add_certificate_problems(std::span<const CertificateInfo> certificates,
                              const std::optional<CertificateRefusal>& refusal, WallTime now,
                              std::vector<Problem>& problems);

}  // namespace infermesh::control
