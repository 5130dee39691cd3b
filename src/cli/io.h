// The seam of the command line: everything it may touch of the world, handed in by app, so that
// every verb runs inside a test. One thread; calls block.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "port/loop.h"

namespace infermesh::cli {

struct CliIo {
  std::function<void(std::string_view)> out;  // data
  std::function<void(std::string_view)> err;  // messages
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  std::size_t width = 80;  // of the terminal, columns
  std::size_t height = 0;  // of the terminal, lines; 0 = unknown, pictures are not cut
  std::map<std::string, std::string> environment;
  std::function<Instant()> now;
  std::function<WallTime()> wall_now;
  Duration utc_offset{};                // of local time, for times that people read
  std::function<bool(Duration)> sleep;  // false: interrupted (Ctrl-C), stop what you do
  std::function<Result<std::string>(const std::string& path)> read_file;  // "-" is stdin
  std::function<std::unique_ptr<port::Folder>(const std::string& path)> open_folder;
  std::string version;  // of this binary
  std::string commit;   // empty when unknown

  std::string env(const std::string& name) const {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  }
};

enum class Speak : std::uint8_t {
  kPlain,
  kTlsUnverified,  // to see whether it answers, whoever it is; nothing secret is sent
};

// One HTTP exchange with an admin listener (or, for `check`, an inference listener).
struct AdminCall {
  std::string host;  // a name or an address literal, IPv6 without brackets
  std::uint16_t port = 0;
  std::string method;  // GET or POST
  std::string path;
  std::string body;  // JSON for POST, may be empty
  Duration timeout{};
  Speak speak = Speak::kPlain;
};

struct AdminAnswer {
  int status = 0;
  std::string body;  // whole; at most 64 MiB, beyond that the call fails
};

class AdminClient {
 public:
  virtual ~AdminClient() = default;
  // Fails with kUpstreamConnectFailed (nothing listens), kDeadlineExceeded, or
  // kUpstreamBadResponse; the detail says why in a few words: "connection refused".
  virtual Result<AdminAnswer> call(const AdminCall& call) = 0;
};

}  // namespace infermesh::cli
