#include "core/model/api_kind.h"

namespace infermesh {

BodyForm body_form(Api api) {
  switch (api) {
    case Api::kTranscriptions:
    case Api::kTranslations:
    case Api::kImageEdits:
      return BodyForm::kForm;
    case Api::kInfer:
    case Api::kPredict:
    case Api::kPredictions:
      return BodyForm::kTensor;
    case Api::kRealtime:
    case Api::kModelInfo:
      return BodyForm::kNone;
    default:
      return BodyForm::kJson;
  }
}

bool is_tensor(Api api) {
  switch (api) {
    case Api::kInfer:
    case Api::kGenerate:
    case Api::kModelInfo:
    case Api::kPredict:
    case Api::kPredictions:
      return true;
    default:
      return false;
  }
}

bool is_media(Api api) {
  switch (api) {
    case Api::kTranscriptions:
    case Api::kTranslations:
    case Api::kSpeech:
    case Api::kImages:
    case Api::kImageEdits:
    case Api::kRealtime:
      return true;
    default:
      return false;
  }
}

bool has_prompt(Api api) {
  return !is_media(api) && (!is_tensor(api) || api == Api::kGenerate);
}

}  // namespace infermesh
