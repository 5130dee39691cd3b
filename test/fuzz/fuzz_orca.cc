// ORCA headers: any bytes are read to their end; what is told is in range; a text form says the
// same with its word before it, and spaces around pairs change nothing.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "wire/engine/orca.h"

namespace {

using namespace infermesh::engines;

void require(bool condition) {
  if (!condition) std::abort();
}

bool same(const OrcaReport& a, const OrcaReport& b) {
  return a.kv_used == b.kv_used && a.running == b.running && a.waiting == b.waiting;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string value(reinterpret_cast<const char*>(data), size);
  const OrcaReport report = read_orca(value);
  if (report.kv_used) require(*report.kv_used >= 0 && *report.kv_used <= 1);
  if (report.running) require(*report.running <= INT32_MAX);
  if (report.waiting) require(*report.waiting <= INT32_MAX);
  if (size + 64 > kOrcaBytesMax) return 0;  // what is added below must fit too
  require(same(report, read_orca("  " + value + "  ")));
  const bool bare = value.find_first_not_of(" \t") != std::string::npos &&
                    value.find('=') != std::string::npos && value.find(' ') == std::string::npos &&
                    value.find('{') == std::string::npos;
  if (bare) {
    require(same(report, read_orca("TEXT " + value)));
    const OrcaReport more = read_orca(value + ", num_requests_waiting=7");
    require(more.waiting.has_value());
    require(!report.waiting || more.waiting == report.waiting);
  }
  return 0;
}
