// FormReader: what routing needs of a multipart form (audio, image edits), read while it passes:
// the parts `model` and `stream`, in any order and around a file of any size. Nothing else is
// looked at, nothing changes but the model's value where engines call it otherwise. Owned by one
// exchange. Fails with kInvalidForm (the body is no such form) or kInvalidField.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "wire/http/multipart.h"
#include "wire/openai/body_reader.h"

namespace infermesh::openai {

struct FormOptions {
  std::string boundary;
  std::string model = {};  // given beside the body; empty: the form names it
};

class FormReader final : public BodyReader {
 public:
  FormReader(Api api, FormOptions options);

  Result<void> feed(std::string_view bytes) override;
  Result<void> finish() override;

  RequestFacts facts() const override { return facts_; }
  std::string_view model() const override { return facts_.model; }
  bool model_known() const override { return models_ > 0; }
  bool ready_to_route(std::uint64_t) const override { return model_known() || complete(); }
  bool model_conflict() const override { return model_conflict_; }

  bool complete() const override { return facts_.complete; }
  bool stream() const override { return facts_.stream; }
  std::uint64_t offset() const override { return scanner_.offset(); }
  std::uint64_t settled_offset() const override;
  std::span<const EditPoint> edit_points() const override { return edit_points_; }

 private:
  enum class Part : std::uint8_t { kOther, kModel, kStream };
  Result<void> take(const http::MultipartScanner::Token& token);
  Result<void> part_end(std::uint64_t at);
  Result<void> model_read(std::uint64_t at);

  http::MultipartScanner scanner_;
  RequestFacts facts_;
  Part part_ = Part::kOther;
  std::uint64_t value_begin_ = 0;
  std::string value_;  // of a part that is wanted
  std::uint32_t models_ = 0;
  bool model_conflict_ = false;
  std::vector<EditPoint> edit_points_;
};

}  // namespace infermesh::openai
