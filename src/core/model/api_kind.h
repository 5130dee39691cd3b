// What kind of thing a route takes and gives, as far as the way through the router differs by it.
#pragma once

#include "core/model/api.h"

namespace infermesh {

enum class BodyForm : std::uint8_t {
  kJson,    // one object, kept whole until the answer begins
  kForm,    // multipart/form-data, passed through
  kTensor,  // the engine's business, JSON or not, passed through; the path names the model
  kNone,
};
BodyForm body_form(Api api);
bool is_tensor(Api api);  // KServe's routes and their elders: the path names the model
bool is_media(Api api);  // audio, images, live sessions: answers of any kind, timeouts of their own
// The prompt's tokens tell how long the engine works before it answers.
bool has_prompt(Api api);

}  // namespace infermesh
