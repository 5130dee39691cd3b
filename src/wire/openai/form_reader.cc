#include "wire/openai/form_reader.h"

#include <utility>

#include "base/text.h"
#include "wire/openai/facts_options.h"

namespace infermesh::openai {

using http::PartToken;

FormReader::FormReader(Api api, FormOptions options) : scanner_(options.boundary) {
  facts_.api = api;
  facts_.model = std::move(options.model);
  models_ = facts_.model.empty() ? 0 : 1;
}

Result<void> FormReader::feed(std::string_view bytes) {
  scanner_.feed(bytes);
  for (auto token = scanner_.next(); token.kind != PartToken::kMore; token = scanner_.next()) {
    if (token.kind == PartToken::kError) {
      return fail(ErrorCode::kInvalidForm,
                  "The form is malformed: " + std::string(scanner_.error_text()) + ".");
    }
    IM_TRY(take(token));
  }
  facts_.body_bytes = Bytes(static_cast<std::int64_t>(scanner_.offset()));
  return {};
}

Result<void> FormReader::finish() {
  if (!scanner_.ended()) {
    return fail(ErrorCode::kInvalidForm, "The form ends without its closing boundary.");
  }
  facts_.complete = true;
  return {};
}

Result<void> FormReader::take(const http::MultipartScanner::Token& token) {
  switch (token.kind) {
    case PartToken::kPart:
      part_ = token.text == "model"    ? Part::kModel
              : token.text == "stream" ? Part::kStream
                                       : Part::kOther;
      value_begin_ = token.at;
      value_.clear();
      return {};
    case PartToken::kData:
      if (part_ == Part::kOther) return {};
      value_.append(token.text.substr(0, kModelBytesMax + 1 - value_.size()));
      if (value_.size() <= kModelBytesMax) return {};
      return fail(ErrorCode::kInvalidField, "The form's part is over 4096 bytes long.",
                  part_ == Part::kModel ? "model" : "stream");
    case PartToken::kPartEnd:
      return part_end(token.at);
    default:
      return {};
  }
}

Result<void> FormReader::part_end(std::uint64_t at) {
  const Part ended = std::exchange(part_, Part::kOther);
  if (ended == Part::kModel) return model_read(at);
  if (ended == Part::kStream) facts_.stream = iequals(value_, "true") || value_ == "1";
  return {};
}

Result<void> FormReader::model_read(std::uint64_t at) {
  if (edit_points_.size() == kEditPointsMax) {
    return fail(ErrorCode::kInvalidField, "The form names its model too often.", "model");
  }
  edit_points_.push_back({EditPoint::Kind::kModel, false, value_begin_, at});
  if (value_.empty()) return {};
  if (models_ > 0 && value_ != facts_.model) model_conflict_ = true;
  ++models_;
  facts_.model = value_;
  return {};
}

std::uint64_t FormReader::settled_offset() const {
  return part_ == Part::kModel ? value_begin_ : scanner_.offset();
}

}  // namespace infermesh::openai
