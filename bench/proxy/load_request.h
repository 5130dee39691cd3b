// What load_gen is told, and the requests that it makes of that.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace infermesh::bench {

constexpr std::size_t kPrefixes = 8;
constexpr std::size_t kIdDigits = 16;

struct Options {
  std::uint16_t port = 0;
  std::size_t connections = 16;
  double seconds = 2;
  double warm = 0.5;
  std::uint64_t requests = 0;  // 0: as many as fit
  std::size_t size = 1000;
  bool distinct = false;
  std::uint64_t events = 0;  // 0: whole answers
  std::uint64_t pause_ms = 0;
  double rate = 0;  // 0: closed loop
  bool hold = false;
  std::vector<pid_t> pids;
};

// False when the words are not flags with a value each, or the port is missing.
bool read_options(int argc, char** argv, Options& options);

// A request's parts; only the prefix and the id, which stands before the tail, differ from one to
// the next.
struct Template {
  std::string front;
  std::vector<std::string> prefixes;
  std::string middle, tail;

  explicit Template(const Options& options);
};

}  // namespace infermesh::bench
