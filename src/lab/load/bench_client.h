// BenchClient: sends requests to one server and times the answers: connections are kept and reused,
// one request each at a time. Answers are scanned, not parsed: a frame costs a few searches. On one
// loop.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lab/load/latency_histogram.h"
#include "lab/shared/connection.h"
#include "lab/shared/flags.h"
#include "port/loop.h"

namespace infermesh::lab {

struct BenchTarget {
  HostPort address;
  std::string host;  // as written in the URL, for the Host header
  std::string base;  // path before /v1, usually empty
};
// "http://127.0.0.1:6400", "http://host:6400/prefix".
Result<BenchTarget> parse_target(std::string_view url);

struct BenchAnswer {
  std::string
      error;  // empty: answered well; else one word, such as "http_503", "connect", "truncated"
  std::string message;  // what the server said, shortened
  Instant sent{}, first_token{}, last_token{}, end{};
  std::uint64_t token_frames = 0;
  bool usage_seen = false;
  std::uint64_t prompt_tokens = 0, cached_tokens = 0, completion_tokens = 0;
  std::string engine;  // x-infermesh-engine

  bool ok() const { return error.empty(); }
};

struct BenchCall {
  std::string path;
  std::string_view body;
  bool stream = true;
  Instant deadline = kNever;
};

class BenchClient {
 public:
  BenchClient(port::Loop& loop, BenchTarget target, std::string extra_headers)
      : loop_(loop), target_(std::move(target)), extra_headers_(std::move(extra_headers)) {}

  // Inter-token times of a stream go to `inter_token` when given.
  port::Task<BenchAnswer> post(BenchCall call, LatencyHistogram* inter_token);
  port::Task<Result<std::string>> get(std::string path, Instant deadline);

 private:
  using ConnectionPtr = std::unique_ptr<Connection>;
  port::Task<Result<ConnectionPtr>> open(Instant deadline);
  ConnectionPtr take_idle();
  void give_back(ConnectionPtr connection);
  std::string head(std::string_view method, std::string_view path, std::size_t body_bytes) const;

  static constexpr std::size_t kIdleMax = 1024;  // kept connections; further ones are closed
  port::Loop& loop_;
  BenchTarget target_;
  std::string extra_headers_;
  std::vector<ConnectionPtr> idle_;
};

}  // namespace infermesh::lab
