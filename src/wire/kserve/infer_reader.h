// InferReader: reads what routing may want of a KServe request whose model the path names. Tensors
// are not looked at: of the JSON (all of the body, or as many bytes of it as the header
// Inference-Header-Content-Length says) the first kHeaderBytesMax are read for `id` and for
// parameters.sequence_id, by which the requests of one sequence keep to one engine. What cannot be
// read is the engine's to refuse: nothing fails here. Also stands for a request without a body.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "wire/json/scanner.h"
#include "wire/openai/body_reader.h"

namespace infermesh::kserve {

constexpr std::uint64_t kHeaderBytesMax = 64 << 10;
constexpr std::size_t kIdBytesMax = 128;  // longer ids and sequence ids are not used
constexpr std::string_view kSequenceKey = "sequence_id";  // as session_body_key of a policy

struct InferOptions {
  std::string model;
  bool stream = false;                        // the route is that of a stream
  std::optional<std::uint64_t> json_bytes{};  // as the header says; absent: the whole body is JSON
};

class InferReader final : public openai::BodyReader {
 public:
  InferReader(Api api, InferOptions options);

  Result<void> feed(std::string_view bytes) override;
  Result<void> finish() override;

  RequestFacts facts() const override;
  std::string_view model() const override { return options_.model; }
  bool model_known() const override { return !options_.model.empty(); }
  bool ready_to_route(std::uint64_t) const override { return model_known() || complete_; }
  bool settled() const override { return complete_ || json_left_ == 0; }
  std::uint64_t body_session(std::string_view key) const override;
  const std::string& id() const { return id_; }  // empty: none was read

  bool complete() const override { return complete_; }
  bool stream() const override { return options_.stream; }
  std::uint64_t offset() const override { return offset_; }
  std::uint64_t settled_offset() const override { return offset_; }
  std::span<const openai::EditPoint> edit_points() const override { return {}; }

 private:
  void take(const json::Token& token);

  Api api_;
  InferOptions options_;
  json::Scanner scanner_;
  std::uint64_t json_left_;  // to read, at most
  std::uint64_t offset_ = 0;
  bool complete_ = false;
  bool in_parameters_ = false;
  std::string key_;
  std::string* wanted_ = nullptr;  // where the value being read goes
  std::string value_;
  std::string id_;
  std::string sequence_;
};

}  // namespace infermesh::kserve
