// `infermesh bench URL`: sends a workload to an OpenAI-style server and reports what came of it.
// Closed loop: a number of clients, each sends its next request when the last one is answered. Open
// loop (a rate or a trace): requests are sent when they are due, whatever is still unanswered.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "lab/load/bench_client.h"
#include "lab/load/bench_options.h"
#include "lab/load/bench_report.h"
#include "lab/load/workload.h"
#include "port/loop.h"

namespace infermesh::lab {

// One line for people while it runs; null where nobody looks.
using ProgressFn = std::function<void(std::string_view)>;

class BenchCommand {
 public:
  // The trace's text when options.trace_file is set, read by the caller.
  static Result<std::unique_ptr<BenchCommand>> make(BenchOptions options,
                                                    std::string_view trace_text);

  // Runs to its end. An error is one of set-up (no model found); failed requests are in the report.
  port::Task<Result<void>> run(port::Loop& loop, ProgressFn progress);
  void stop() { stopped_ = true; }  // no further requests; run() ends when those in flight have

  std::string output() const;  // the table or JSON, after run()
  int exit_code() const { return report_.failed() > 0 || report_.finished() == 0 ? 1 : 0; }
  const BenchReport& report() const { return report_; }

 private:
  BenchCommand(BenchOptions options, Workload workload);
  port::Task<Result<void>> find_model(BenchClient& client, port::Loop& loop);
  port::Task<void> client_loop(BenchClient& client, port::Loop& loop);
  port::Task<void> dispatch(BenchClient& client, port::Loop& loop);
  port::Task<void> send(BenchClient& client, port::Loop& loop, PlannedRequest request,
                        Instant intended);
  port::Task<void> wait_for_all(port::Loop& loop, const ProgressFn& progress);
  std::optional<PlannedRequest> next(Instant now);
  std::string body_of(const PlannedRequest& request) const;

  BenchOptions options_;
  Workload workload_;
  BenchReport report_;
  Instant start_{};
  std::uint64_t planned_ = 0;
  std::uint64_t in_flight_ = 0;
  std::uint32_t running_ = 0;  // clients or the dispatcher that may still send
  bool stopped_ = false;
};

}  // namespace infermesh::lab
