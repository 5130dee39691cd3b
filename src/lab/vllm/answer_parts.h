// Pieces that whole answers and streams share. Internal to answers.cc and stream_frames.cc.
#pragma once

#include <string>
#include <string_view>

#include "lab/vllm/answers.h"

namespace infermesh::lab {

std::string openai_usage(const Usage& usage);
std::string_view anthropic_stop(FinishReason reason);
// The object of /v1/responses; without `text` it has no output and no usage yet.
std::string response_object(const AnswerId& id, std::string_view status, const std::string* text,
                            const Usage& usage);

}  // namespace infermesh::lab
