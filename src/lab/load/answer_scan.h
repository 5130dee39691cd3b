// AnswerScan: what the load generator wants of an answer's body, found by searching: when tokens
// come, whether a stream ends as it should, the usage. Fed with payload pieces of any size. Pure.
#pragma once

#include <string>
#include <string_view>

#include "lab/load/bench_client.h"

namespace infermesh::lab {

class AnswerScan {
 public:
  AnswerScan(BenchAnswer& answer, LatencyHistogram* inter_token)
      : answer_(answer), inter_token_(inter_token) {}

  void feed_stream(std::string_view payload, Instant now);
  void feed_whole(std::string_view payload);
  void end_whole();
  bool done() const { return done_; }      // [DONE] has come
  bool failed() const { return failed_; }  // an error frame has come
  const std::string& text() const { return kept_; }

 private:
  void line(std::string_view text, Instant now);
  void read_usage(std::string_view text);

  static constexpr std::size_t kKeptMax =
      16u << 20;  // of a whole answer or one line; the rest is dropped
  BenchAnswer& answer_;
  LatencyHistogram* inter_token_;
  std::string kept_;  // an unfinished line, or the whole body
  bool done_ = false;
  bool failed_ = false;
};

}  // namespace infermesh::lab
