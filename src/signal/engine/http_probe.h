// HttpProbe: a small HTTP/1.1 client for looking at one engine, over one kept connection. It
// connects when needed and again when the engine has closed a connection that was idle. Belongs to
// one loop; one request at a time.
//
// Limits: an answer's body 4 MiB; every request has a deadline, connecting included. Nothing
// throws; what went wrong is in the answer's `failure` and `detail`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "port/loop.h"
#include "wire/engine/adapter.h"

namespace infermesh::signal {

constexpr std::size_t kProbeBodyMax = std::size_t{4} << 20;

struct ProbeTarget {
  std::string host;
  std::uint16_t port = 0;
  std::string authority;            // the Host header
  std::string api_key;              // sent as a bearer token when not empty
  std::optional<TlsOptions> tls{};  // absent: plain TCP

  bool operator==(const ProbeTarget&) const = default;
};

enum class ProbeFailure : std::uint8_t {
  kNone,
  kRefused,    // no connection could be made
  kMissed,     // no whole answer before the deadline
  kBroken,     // closed, reset, or not HTTP
  kCancelled,  // cancel() was called
};

struct ProbeAnswer {
  ProbeFailure failure = ProbeFailure::kNone;
  std::string detail;  // one sentence when it failed
  std::uint16_t status = 0;
  std::string server;
  std::string via;
  std::string process_start;
  std::string body;

  engines::Answer view() const { return {status, server, via, process_start, body}; }
};

struct ProbeBody {
  std::string content_type;
  std::string bytes;
};

class HttpProbe {
 public:
  HttpProbe(port::Loop& loop, ProbeTarget target) : loop_(loop), target_(std::move(target)) {}

  port::Task<ProbeAnswer> get(std::string path, Duration timeout);
  // Sent again when a kept connection turns out to be closed: for requests that may come twice.
  port::Task<ProbeAnswer> post(std::string path, ProbeBody body, Duration timeout);
  void cancel();  // ends the request under way and all later ones
  void close();   // drops the kept connection

 private:
  port::Task<ProbeAnswer> ask(std::string request, Duration timeout);
  port::Task<ProbeAnswer> exchange(const std::string& request, Instant deadline);
  port::Task<ProbeAnswer> receive(Instant deadline);
  port::Task<port::IoStatus> fill(Instant deadline);
  port::Task<bool> send(std::string_view text, Instant deadline);
  ProbeAnswer failed(Instant deadline, std::string_view doing) const;
  std::string request_for(std::string_view path, const ProbeBody* body) const;

  port::Loop& loop_;
  ProbeTarget target_;
  port::StreamPtr stream_;
  std::string input_;
  bool fresh_ = true;  // nothing has been received on this connection yet
  bool cancelled_ = false;
};

}  // namespace infermesh::signal
