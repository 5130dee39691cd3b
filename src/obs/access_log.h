// AccessLog: one JSON object a line for each request, when it has ended. Fields that are not known
// are left out. Written by every shard; see log.h for what happens when the reader is slow.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/time.h"
#include "obs/log.h"

namespace infermesh::obs {

// The texts are borrowed for the call.
struct AccessRecord {
  WallTime time{};
  std::string_view request_id;
  std::string_view client;  // address and port
  std::string_view method;
  std::string_view path;  // without the query, which may hold secrets
  std::string_view api;
  std::string_view model;   // as the client wrote it
  std::string_view engine;  // of the last attempt
  std::uint32_t attempts = 0;
  std::uint16_t status = 0;  // sent to the client
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::optional<Duration> ttft;
  Duration total{0};
  std::optional<Duration> queued;
  std::optional<std::int64_t> prompt_tokens;
  std::optional<std::int64_t> cached_tokens;
  std::optional<std::int64_t> output_tokens;
  bool stream = false;
  std::string_view reason;  // why the engine was chosen
  std::string_view error;   // infermesh's own error code
};

// {"time":"...","request_id":"...",...}. No newline.
std::string format_access_line(const AccessRecord& record);

class AccessLog {
 public:
  explicit AccessLog(int descriptor) : writer_(descriptor) {}
  void write(const AccessRecord& record);
  std::uint64_t dropped() const { return writer_.dropped(); }

 private:
  LineWriter writer_;
};

}  // namespace infermesh::obs
