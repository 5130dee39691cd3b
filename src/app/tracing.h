// Tracing: what a process needs to export spans: the queue that the shards fill, the exporter, and
// the connection to the collector. On the control loop; the queue is for all threads.
#pragma once

#include <functional>
#include <memory>

#include "config/settings.gen.h"
#include "obs/export/span_exporter.h"
#include "obs/span_queue.h"
#include "signal/engine/http_probe.h"

namespace infermesh::app {

class Tracing {
 public:
  struct Borrowed {
    port::Loop& loop;
    obs::MetricSet& metrics;
    obs::Log& log;
  };
  // Null when no collector is named. kInvalidConfig when its URL cannot be used.
  static Result<std::unique_ptr<Tracing>> make(const config::Settings& settings,
                                               const Borrowed& borrowed);

  obs::SpanQueue& queue() { return queue_; }
  void start();
  // Sends what is left; `done` is called within a few seconds.
  void stop(std::function<void()> done) { exporter_.stop(std::move(done)); }

 private:
  Tracing(const config::Settings& settings, const Borrowed& borrowed,
          signal::ProbeTarget collector);
  port::Task<obs::CollectorAnswer> post(std::string body, Duration timeout);

  port::Loop& loop_;
  obs::SpanQueue queue_;
  signal::HttpProbe collector_;
  obs::SpanExporter exporter_;
};

}  // namespace infermesh::app
