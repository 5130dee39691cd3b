#include "core/model/api_kind.h"

namespace infermesh {

BodyForm body_form(Api api) {
  switch (api) {
    case Api::kTranscriptions:
    case Api::kTranslations:
    case Api::kImageEdits:
      return BodyForm::kForm;
    case Api::kInfer:
      return BodyForm::kTensor;
    case Api::kRealtime:
    case Api::kModelInfo:
      return BodyForm::kNone;
    default:
      return BodyForm::kJson;
  }
}

bool is_kserve(Api api) {
  return api == Api::kInfer || api == Api::kGenerate || api == Api::kModelInfo;
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
  return !is_media(api) && api != Api::kInfer && api != Api::kModelInfo;
}

}  // namespace infermesh
