// ResponseReader: usage and model name of an answer that is one JSON body, fed as it passes. A body
// that is not JSON is no failure: it has no usage then. With BodySplicer and SplicePlan{client's
// name} it puts the client's model name back.
#pragma once

#include "wire/openai/answer_scan.h"

namespace infermesh::openai {

class ResponseReader final : public EditSource {
 public:
  explicit ResponseReader(Api api) : scan_(api) {}
  void feed(std::string_view bytes) {
    offset_ += bytes.size();
    if (valid_) valid_ = scan_.feed(bytes);
  }
  Usage usage() const { return scan_.usage(); }
  std::string_view response_id() const { return scan_.response_id(); }
  std::string_view finish_reason() const { return scan_.finish_reason(); }
  bool valid() const { return valid_; }  // JSON so far

  bool complete() const override { return valid_ && scan_.done(); }
  bool stream() const override { return false; }
  std::uint64_t offset() const override { return offset_; }
  std::uint64_t settled_offset() const override {
    return valid_ ? scan_.settled_offset() : offset_;
  }
  std::span<const EditPoint> edit_points() const override { return scan_.models(); }

 private:
  AnswerScan scan_;
  std::uint64_t offset_ = 0;
  bool valid_ = true;
};

}  // namespace infermesh::openai
