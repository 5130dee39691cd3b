// SpanExporter: sends finished spans to an OpenTelemetry collector (OTLP/HTTP, protobuf) in batches
// of at most 512, every `interval`. Answers 429, 502, 503 and 504, and no answer, are tried again
// up to three times with growing pauses, as the OTLP specification asks; meanwhile spans gather in
// the bounded queue. What is lost is counted, and told in the log when it begins and when it is
// over. On one loop.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "obs/log.h"
#include "obs/metrics.h"
#include "obs/span_queue.h"
#include "port/loop.h"
#include "port/task.h"
#include "port/wakeup.h"

namespace infermesh::obs {

struct CollectorAnswer {
  std::uint16_t status = 0;  // 0: none came
  std::string body;
  std::string failure;  // one sentence when none came
};
// Posts a body of otlp::kContentType; answers within the timeout.
using PostSpans = std::function<port::Task<CollectorAnswer>(std::string body, Duration timeout)>;

class SpanExporter {
 public:
  struct Options {
    std::string endpoint;  // for people
    std::string version;   // of this program
    std::string instance;  // tells this process from others
    Duration interval = 1s;
  };
  SpanExporter(port::Loop& loop, SpanQueue& queue, MetricSet& metrics, Log& log, Options options);

  port::Task<void> run(PostSpans post);  // until stop()
  // Sends what is left, once and within two seconds; then run() returns and `done` is called.
  void stop(std::function<void()> done);

 private:
  port::Task<void> send_all(const PostSpans& post);
  port::Task<CollectorAnswer> post_with_patience(const PostSpans& post, const std::string& body);
  port::Task<void> pause(Duration duration);  // ended early by stop()
  void note(const CollectorAnswer& answer, std::size_t spans);
  void count_dropped();

  port::Loop& loop_;
  SpanQueue& queue_;
  Log& log_;
  Options options_;
  Counter exported_, rejected_, lost_, dropped_;
  std::uint64_t dropped_seen_ = 0;
  port::Wakeup wake_;
  port::Timer timer_;
  std::function<void()> done_;
  bool stopping_ = false;
  bool failing_ = false;  // the last batch was not taken
};

}  // namespace infermesh::obs
